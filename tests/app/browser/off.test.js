// What is switched off says how to switch it on where this appliance runs; and what only people can decide has a button.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Appliance, PLAIN, SIZES, barriers, eventually, launch, live, picture, settled, visit } from "./harness.js";

let browser, folder;
before(async () => {
  browser = await launch();
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dmxd-off-")));
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

const CASES = [
  { name: "on the card", prepare: () => (writeFileSync(join(folder, "report.json"), "[]"), ["--setup-report", join(folder, "report.json")]),
    where: /put its card into a computer. Add these lines to dmxd\.toml on the card,/, czech: /Do souboru dmxd\.toml na kartě přidejte/, not: /appliance\.toml/ },
  { name: "elsewhere", prepare: () => (writeFileSync(join(folder, "stage.toml"), ""), ["--config", join(folder, "stage.toml")]),
    where: /add these lines to \/.*\/stage\.toml and restart dmxd:/, czech: /přidejte do souboru \/.*\/stage\.toml tyto řádky/, not: /dmxd\.toml|the card/ },
];

for (const { name, prepare, where, czech, not } of CASES) {
  test(`${name} the app names the file of settings that is there, and the lines to add`, async () => {
    const appliance = await new Appliance({}, prepare()).start();
    try {
      for (const size of [SIZES[0], SIZES[3]]) {
        await visit(browser, { appliance, host: PLAIN, size, path: "#/shows" }, async (page) => {
          for (const [title, lines] of [["Projects are switched off", "[projects]\nenabled = true"], ["Backups", "[backup]\nenabled = true"]]) {
            const panel = page.getByRole("region", { name: title });
            await panel.getByText(where).waitFor();
            await panel.getByText(/already in it, change the lines/).waitFor();
            assert.equal(await panel.locator("pre").textContent(), lines);
            await panel.getByRole("button", { name: "Copy" }).click();
            assert.equal(await page.evaluate(() => String(getSelection())), lines);
            await page.getByText("Copied.").waitFor();
          }
          await settled(page);
          assert.deepEqual(await barriers(page), []);
          await picture(page, `off-projects-${name.replaceAll(" ", "-")}`);

          await page.locator('nav a[href="#/devices"]').click();
          await page.getByText("Switch on an output or input").click();
          const ports = page.getByRole("region", { name: "Outputs and inputs" });
          for (const lines of ["[ola]\nenabled = true", "[usb]\nenabled = true", '[input]\nenabled = true\nport = "/dev/ttyUSB0"']) {
            await eventually("its lines", () => ports.locator("pre").allTextContents(), (all) => all.includes(lines));
          }
          assert.equal(await ports.getByText(where).count(), 3);
          assert.doesNotMatch(await page.locator("main").innerText(), not);
          await settled(page);
          assert.deepEqual(await barriers(page), []);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the screen");
          await picture(page, `off-outputs-${name.replaceAll(" ", "-")}`);
        });
      }
      await visit(browser, { appliance, host: PLAIN, path: "#/shows", context: { locale: "cs-CZ" } }, async (page) => {
        await page.getByText(czech).first().waitFor();
        await picture(page, `off-czech-${name.replaceAll(" ", "-")}`);
      });
    } finally {
      await appliance.clear();
    }
  });
}

/** The file that is shipped, changed as the app says. */
const SHIPPED = readFileSync(new URL("../../../appliance.toml", import.meta.url), "utf8").replaceAll("enabled = false", "enabled = true")
  .replace(/(\[input\][^[]*port = )""/, '$1"/dev/ttyUSB0"');
const FILES = {
  added: '[projects]\nenabled = true\n[backup]\nenabled = true\n[usb]\nenabled = true\n[ola]\nenabled = true\n[input]\nenabled = true\nport = "/dev/ttyUSB0"\n',
  changed: SHIPPED,
};

for (const [how, text] of Object.entries(FILES)) test(`the lines that the app shows, ${how}, switch on what they promise`, async () => {
  const file = join(folder, `${how}.toml`);
  writeFileSync(file, text);
  const appliance = await new Appliance({}, ["--config", file]).start();
  try {
    const { projects, backups, settings } = await appliance.rest("/about");
    assert.deepEqual({ projects, backups, settings }, { projects: true, backups: true, settings: { file, onCard: false } });
    const { outputs, inputs } = await appliance.rest("/outputs");
    assert.deepEqual([...outputs, ...inputs].map(({ enabled }) => enabled), [true, true, true]);
  } finally {
    await appliance.clear();
  }
});

test("a changed medium of backups is accepted in the app", async () => {
  const data = join(folder, "data");
  mkdirSync(data);
  writeFileSync(join(data, "backup-medium"), "another stick");
  const variables = { DMX_DATA_DIR: data, DMX_CLOUD_BACKUP_ENABLED: "true", DMX_CLOUD_BACKUP_LOCAL_PATH: join(folder, "stick") };
  const appliance = await new Appliance(variables).start();
  try {
    await appliance.rest("/projects/default/backups", { body: {} });
    await visit(browser, { appliance, host: PLAIN, path: "#/devices" }, async (page) => {
      const problem = page.getByRole("article").filter({ hasText: "Backups go to a different medium than before" });
      await problem.waitFor();
      await settled(page);
      await picture(page, "medium");
      await problem.getByRole("button", { name: "Use this medium" }).click();
      await problem.getByRole("button", { name: "Leave the earlier backups behind?" }).click();
      await eventually("it is accepted", () => problem.count(), (count) => count === 0);
    });
  } finally {
    await appliance.clear();
  }
});

test("what the appliance says in English stands apart from the words of the app", async () => {
  const appliance = await new Appliance({ DMX_PROJECTS_ENABLED: "true" }).start();
  try {
    for (const size of [SIZES[0], SIZES[3]]) {
      await visit(browser, { appliance, host: PLAIN, size, path: "#/devices", expects: /status of (404|422)/, context: { locale: "cs-CZ" } }, async (page) => {
        const note = page.locator(".note");
        await page.getByRole("button", { name: "Znovu připojit výstup" }).click();
        await note.getByText("Nepodařilo se: převodník nebyl nalezen, nebo je výstup vypnutý").waitFor();
        assert.equal(await note.locator("small").count(), 0, "the app's own words say everything");
        await page.evaluate(async () => {
          const [{ desk }, api] = await Promise.all([import("/desk.js"), import("/core/api.js")]);
          await desk.ask(api.json("POST", "/scenes", { body: { name: "" } }));
        });
        assert.equal(await note.locator("span").textContent(), "Nepodařilo se: jednotka to odmítla");
        assert.match((await note.locator("small[lang=en]").textContent()) ?? "", /name/);
        await picture(page, "note-detail");
      });
    }
  } finally {
    await appliance.clear();
  }
});
