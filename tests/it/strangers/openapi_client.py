"""What the pages tour, looks, projects and backups do with curl, by the client that openapi-python-client makes of /openapi.json.

    openapi_client.py HOST PORT FOLDER

FOLDER holds the generated package `dmxd_client`.
"""
import sys

host, port, folder = sys.argv[1:]
sys.path.insert(0, folder)

from dmxd_client import AuthenticatedClient, models  # noqa: E402
from dmxd_client.api.appliance import get_about  # noqa: E402
from dmxd_client.api.backups import create_backup, list_backups, restore_backup  # noqa: E402
from dmxd_client.api.light import get_lamp, get_state, send_command, set_blackout, set_lamp, set_master  # noqa: E402
from dmxd_client.api.projects import change_project, create_project, delete_project, get_project, list_projects  # noqa: E402
from dmxd_client.api.projects import select_project  # noqa: E402
from dmxd_client.api.scenes import add_scene, capture_scene, change_scene, list_scenes, recall_scene  # noqa: E402
from dmxd_client.api.show import export_show, import_show  # noqa: E402

client = AuthenticatedClient(f"http://{host}:{port}", "none", prefix="", auth_header_name="x-api-key")
assert get_about.sync(client=client).projects

# The lamp.
before = get_lamp.sync(client=client)
blue = models.DemoRgbCmdV1(cmd_id="01JD0000000000000000000001", src="me", r=0, g=0, b=255)
taken = set_lamp.sync(client=client, body=blue)
assert isinstance(taken, models.Accepted) and taken.seq == before.seq + 1, taken
assert isinstance(set_lamp.sync(client=client, body=blue), models.Duplicate)
lamp = get_lamp.sync(client=client)
assert (lamp.r, lamp.g, lamp.b, lamp.updated_by) == (0, 0, 255, "me"), lamp
wrong = set_lamp.sync(client=client, body=models.DemoRgbCmdV1(cmd_id="x", src="me", r=1, g=1, b=1))
assert isinstance(wrong, models.Problem) and [error.path for error in wrong.errors] == ["/cmdId"], wrong

# Other channels.
one = models.DmxSet(type_="dmx.set", id="tour-1", universe=0, channel=7, value=255)
ack = send_command.sync(client=client, body=one)
assert ack.accepted and ack.ack == "tour-1", ack
patch = [models.PatchLevel(ch=1, val=255), models.PatchLevel(ch=9, val=80)]
fade = models.DmxFade(type_="dmx.fade", id="a2", universe=0, patch=patch, duration_ms=0, easing=models.DmxFadeEasing.S_CURVE)
assert send_command.sync(client=client, body=fade).accepted
state = get_state.sync(client=client, sparse=models.GetStateSparse.VALUE_1)
assert state.universes_sparse["0"].additional_properties == {"1": 255, "3": 255, "7": 255, "9": 80}, state

# Looks.
evening = add_scene.sync(client=client, body=models.NewScene(id="evening", name="Evening", fade_ms=2000))
assert evening.channel_values["9"] == 80 and evening.universes == [0], evening
desk = recall_scene.sync("evening", client=client, body=models.RecallOrder(fade_ms=0))
assert desk.scene == "evening", desk
assert recall_scene.sync("evening", client=client).scene == "evening"
fields = models.SceneFields(favorite=True, tags=["act 1"], position=0)
assert change_scene.sync("evening", client=client, body=fields).tags == ["act 1"]
assert capture_scene.sync("evening", client=client).name == "Evening"
assert [scene.id for scene in list_scenes.sync(client=client)] == ["evening"]
assert set_master.sync(client=client, body=models.MasterOrder(level=128)).master == 128
assert set_blackout.sync(client=client, body=models.BlackoutOrder(on=True)).blackout
assert not set_blackout.sync(client=client, body=models.BlackoutOrder(on=False)).blackout

# A version, and back to it.
version = create_backup.sync("default", client=client, body=models.BackupOrder(label="before the premiere"))
assert version.label == "before the premiere", version
assert [one.version_id for one in list_backups.sync("default", client=client).versions] == [version.version_id]
restored = restore_backup.sync("default", client=client, body=models.RestoreOrder(version_id=version.version_id))
assert restored.status == "ok", restored

# Projects.
new = models.NewProject(name="Hamlet", venue="Small stage", template_id="default")
hamlet = next(one for one in create_project.sync(client=client, body=new).projects if one.name == "Hamlet")
tag = get_project.sync_detailed(hamlet.id, client=client).headers["ETag"]
edit = models.ProjectEdit(notes="Doors open at 19:00", venue=None)
edited = change_project.sync(hamlet.id, client=client, body=edit, if_match=tag)
assert (edited.notes, edited.venue, edited.name) == ("Doors open at 19:00", None, "Hamlet"), edited
late = change_project.sync(hamlet.id, client=client, body=edit, if_match=tag)
assert isinstance(late, models.Problem) and late.status == 412, late
assert select_project.sync(hamlet.id, client=client).active_id == hamlet.id

# The show as a file.
show = export_show.sync(client=client)
assert [scene.name for scene in show.scenes] == ["Evening"], show
show["mark"] = 7
dry = import_show.sync(client=client, body=show, mode=models.ImportShowMode.MERGE, dry_run=models.ImportShowDryRun.VALUE_1)
assert isinstance(dry, models.DryRun) and dry.dry_run, dry
stored = import_show.sync(client=client, body=show)
assert stored["mark"] == 7 and stored.scenes[0].id == "evening", stored

assert select_project.sync("default", client=client).active_id == "default"
assert [one.id for one in delete_project.sync(hamlet.id, client=client).projects] == ["default"]
assert list_projects.sync(client=client).active_id == "default"
print("done")
