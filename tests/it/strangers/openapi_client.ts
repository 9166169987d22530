// What the pages tour, looks, projects and backups do with curl, by openapi-fetch over the types that openapi-typescript makes
// of /openapi.json. `tsc --strict` compiles it beside them: an argument that is missing or of the wrong type fails there.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./dmxd.js";

const [host, port] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: `http://${host}:${port}` });

/** What a call gave; a problem ends the run with its words. */
async function good<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<NonNullable<T>> {
  const { data, error } = await call;
  assert.equal(error, undefined, JSON.stringify(error));
  assert.ok(data !== undefined && data !== null);
  return data;
}

// The lamp.
const before = await good(api.GET("/rgb"));
const blue = { cmdId: "01JD0000000000000000000001", src: "me", r: 0, g: 0, b: 255 };
const taken = await good(api.POST("/rgb", { body: blue }));
assert.ok(taken.status === "accepted" && taken.seq === before.seq + 1);
assert.equal((await good(api.POST("/rgb", { body: blue }))).status, "duplicate");
const lamp = await good(api.GET("/rgb"));
assert.deepEqual([lamp.r, lamp.g, lamp.b, lamp.updatedBy], [0, 0, 255, "me"]);
const wrong = await api.POST("/rgb", { body: { ...blue, cmdId: "x" } });
assert.deepEqual(wrong.error?.errors?.map((error) => error.path), ["/cmdId"]);

// Other channels.
const command = (body: components["schemas"]["UnifiedCommand"]) => good(api.POST("/command", { body }));
const ack = await command({ type: "dmx.set", id: "tour-1", universe: 0, channel: 7, value: 255 });
assert.ok(ack.accepted && ack.ack === "tour-1");
const patch = [{ ch: 1, val: 255 }, { ch: 9, val: 80 }];
assert.ok((await command({ type: "dmx.fade", id: "a2", universe: 0, patch, durationMs: 0, easing: "s_curve" })).accepted);
const state = await good(api.GET("/state", { params: { query: { sparse: "1" } } }));
assert.deepEqual(state.universesSparse, { 0: { 1: 255, 3: 255, 7: 255, 9: 80 } });

// Looks.
const evening = await good(api.POST("/scenes", { body: { id: "evening", name: "Evening", fadeMs: 2000 } }));
assert.equal(evening.channelValues["9"], 80);
const scene = { params: { path: { id: "evening" } } };
assert.equal((await good(api.POST("/scenes/{id}/recall", { ...scene, body: { fadeMs: 0 } }))).scene, "evening");
assert.equal((await good(api.POST("/scenes/{id}/recall", scene))).scene, "evening");
const body = { favorite: true, tags: ["act 1"], position: 0 };
assert.deepEqual((await good(api.PATCH("/scenes/{id}", { ...scene, body }))).tags, ["act 1"]);
assert.equal((await good(api.POST("/scenes/{id}/capture", scene))).name, "Evening");
assert.deepEqual((await good(api.GET("/scenes"))).map(({ id }) => id), ["evening"]);
assert.equal((await good(api.POST("/master", { body: { level: 128 } }))).master, 128);
assert.ok((await good(api.POST("/blackout", { body: { on: true } }))).blackout);
assert.ok(!(await good(api.POST("/blackout", { body: { on: false } }))).blackout);

// A version, and back to it.
const ofDefault = { params: { path: { id: "default" } } };
const { versionId, label } = await good(api.POST("/projects/{id}/backups", { ...ofDefault, body: { label: "before the premiere" } }));
assert.equal(label, "before the premiere");
const { versions } = await good(api.GET("/projects/{id}/backups", ofDefault));
assert.deepEqual(versions.map((version) => version.versionId), [versionId]);
const restored = await good(api.POST("/projects/{id}/restore", { ...ofDefault, body: { versionId } }));
assert.ok("status" in restored && restored.status === "ok");

// Projects.
const { projects } = await good(api.POST("/projects", { body: { name: "Hamlet", venue: "Small stage", templateId: "default" } }));
const id = projects.find(({ name }) => name === "Hamlet")?.id;
assert.ok(id !== undefined);
const read = await api.GET("/projects/{id}", { params: { path: { id } } });
const header = { "If-Match": read.response.headers.get("etag") ?? "" };
const notes = { notes: "Doors open at 19:00", venue: null };
const edited = await good(api.PUT("/projects/{id}", { params: { path: { id }, header }, body: notes }));
assert.deepEqual([edited.notes, edited.venue, edited.name], ["Doors open at 19:00", null, "Hamlet"]);
const late = await api.PUT("/projects/{id}", { params: { path: { id }, header }, body: notes });
assert.equal(late.error?.status, 412);
assert.equal((await good(api.POST("/projects/{id}/select", { params: { path: { id } } }))).activeId, id);

// The show as a file.
const show = await good(api.GET("/export"));
assert.deepEqual(show.scenes?.map(({ name }) => name), ["Evening"]);
const dry = await good(api.POST("/import", { params: { query: { mode: "merge", dryRun: "1" } }, body: { ...show, mark: 7 } }));
assert.ok("dryRun" in dry && dry.dryRun === true);
const stored = await good(api.POST("/import", { body: { ...show, mark: 7 } }));
assert.ok("mark" in stored && stored.mark === 7);

assert.equal((await good(api.POST("/projects/{id}/select", ofDefault))).activeId, "default");
const left = await good(api.DELETE("/projects/{id}", { params: { path: { id } } }));
assert.deepEqual(left.projects.map((project) => project.id), ["default"]);
console.log("done");
