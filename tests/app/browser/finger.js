// A finger on the glass, by the browser's own touch events: a mouse would prove less.

/** @typedef {{ x: number, y: number }} Point */

/** @param {any} page */
export async function finger(page) {
  const session = await page.context().newCDPSession(page);
  const touch = (type, points, more) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points, ...more });
  return {
    /** @param {Point} at */
    down: (at) => touch("touchStart", [at]),
    /** @param {Point} at */
    move: (at) => touch("touchMove", [at]),
    up: () => touch("touchEnd", []),
    /** Lets go after a while by the event's own clock. @param {number} ms */
    upAfter: (ms) => touch("touchEnd", [], { timestamp: (Date.now() + ms) / 1000 }),
    /** @param {Point} at */
    async tap(at) {
      await touch("touchStart", [at]);
      await touch("touchEnd", []);
    },
  };
}

/**
 * A place on a slider, as a share of its length; horizontal or vertical.
 * @param {any} slider
 * @param {number} share 0..1
 * @returns {Promise<Point>}
 */
export async function place(slider, share) {
  const { x, y, width, height } = await slider.boundingBox();
  return width > height ? { x: x + width * share, y: y + height / 2 } : { x: x + width / 2, y: y + height * (1 - share) };
}

/**
 * A place on a round control, by angle and share of its radius.
 * @param {any} wheel
 * @param {number} degrees
 * @param {number} share 0..1
 * @returns {Promise<Point>}
 */
export async function around(wheel, degrees, share) {
  const { x, y, width, height } = await wheel.boundingBox();
  const angle = (degrees * Math.PI) / 180;
  return { x: x + (width / 2) * (1 + share * Math.cos(angle)), y: y + (height / 2) * (1 + share * Math.sin(angle)) };
}
