// A cloud of points on a canvas, written pixel by pixel: 20,000 points take a millisecond, on any machine and without
// a graphics card. All panels of a group share one camera, one selection and one colour for each point.

class Camera {
  constructor() {
    this.reset();
  }

  reset() {
    Object.assign(this, { yaw: 0.5, pitch: 0.15, zoom: 1, x: 0, y: 0 });
  }

  /** The map from a view's coordinates to the screen, as [xx, xy, xz, yx, yy, yz, x, y]. */
  screen(view, size) {
    const scale = size * (view.turns ? 0.36 : 0.42) * this.zoom,
      middle = size / 2;
    const [cy, sy, cp, sp] = view.turns
      ? [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)]
      : [1, 0, 1, 0];
    const lower = 0.12 * (view.corners.length === 3 && !view.turns) * this.zoom; // the middle of a triangle's height
    return [
      scale * cy,
      0,
      scale * sy,
      -scale * sy * sp,
      -scale * cp,
      scale * cy * sp,
      middle + this.x * size,
      middle + (lower + this.y) * size,
    ];
  }
}

const NEAR = 14; // CSS pixels within which a point is hovered over

class Panel {
  /** `group` has camera and redraw(), and may have hover, select, keydown, pick, holds, grabs and drag. */
  constructor(group, label) {
    this.group = group;
    this.canvas = element("canvas", { tabindex: 0, role: "img", "aria-label": label });
    this.shown = 0;
    this.points = new Float32Array(0);
    this.marked = new Map(); // point -> style
    this.path = [];
    this.listen();
  }

  /**
   * The first `n` points at places (x, y, z), in colours of four bytes, within the frame of a view; those that `front`
   * has as 1 are drawn over the others.
   */
  show(view, points, colors, n, front = null) {
    Object.assign(this, { view, points, colors, shown: n, front });
  }

  listen() {
    const canvas = this.canvas,
      camera = this.group.camera;
    let from = null,
      moved = 0,
      dragging = false;
    const held = (event) => {
      if (event.cancelable && this.group.holds?.(this.placeOf(event.touches[0]))) event.preventDefault();
    };
    canvas.addEventListener("touchstart", held, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
      moved = 0;
      dragging = this.group.drag && this.group.grabs(this.placeOf(event));
      const isFree = event.shiftKey || !(this.view?.turns || camera.zoom > 1),
        boxes = this.group.boxing || (isFree && event.pointerType !== "touch");
      if (this.group.pick && boxes) this.box = [this.placeOf(event)];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return this.group.hover?.(this.nearest(event));
      if (dragging) return this.group.drag(this.placeOf(event));
      const dx = event.clientX - from[0],
        dy = event.clientY - from[1],
        size = canvas.clientWidth;
      moved += Math.abs(dx) + Math.abs(dy);
      from = [event.clientX, event.clientY];
      if (this.box) {
        this.box[1] = this.placeOf(event);
        return this.draw();
      }
      if (this.view?.turns) {
        camera.yaw += dx * 0.01;
        camera.pitch = Math.max(-1.5, Math.min(1.5, camera.pitch + dy * 0.01));
      } else if (camera.zoom > 1) {
        camera.x += dx / size;
        camera.y += dy / size;
      }
      this.group.redraw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const box = this.box;
      from = this.box = null;
      if (box && moved >= 6) this.group.pick(this, box[0], this.placeOf(event));
      else if (dragging) this.group.drag(this.placeOf(event));
      else if (moved < 6) this.group.select?.(this.nearest(event));
    });
    canvas.addEventListener("pointercancel", () => {
      from = this.box = null;
    });
    canvas.addEventListener("pointerleave", () => this.group.hover?.(-1));
    canvas.addEventListener("keydown", (event) => this.group.keydown?.(event, this));
  }

  /** Where an event is on the canvas, in its own pixels. */
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((x) => (x * this.canvas.width) / box.width);
  }

  /** The point nearest to an event, or -1 if none is near. */
  nearest(event) {
    const [x, y] = this.placeOf(event),
      ratio = this.canvas.width / this.canvas.clientWidth;
    return this.nearestTo(x, y, (NEAR * ratio) ** 2);
  }

  nearestTo(x, y, within = Infinity, allowed = () => true) {
    let best = -1,
      least = within;
    for (let i = 0; i < this.shown; i++) {
      const square = (this.xs[i] - x) ** 2 + (this.ys[i] - y) ** 2;
      if (square < least && allowed(i)) [best, least] = [i, square];
    }
    return best;
  }

  /** The nearest point from a point in a direction on the screen, for the arrow keys. */
  neighbour(from, dx, dy) {
    let best = -1,
      least = Infinity;
    for (let i = 0; i < this.shown; i++) {
      const x = this.xs[i] - this.xs[from],
        y = this.ys[i] - this.ys[from],
        along = x * dx + y * dy;
      const aside = Math.abs(x * dy) + Math.abs(y * dx),
        cost = along + 3 * aside;
      if (along > 2 && cost < least) [best, least] = [i, cost];
    }
    return best;
  }

  project() {
    const size = this.canvas.width,
      [xx, xy, xz, yx, yy, yz, x0, y0] = this.group.camera.screen(this.view, size);
    if (!this.xs || this.xs.length < this.shown)
      [this.xs, this.ys] = [new Float32Array(this.shown), new Float32Array(this.shown)];
    const { xs, ys, points, shown } = this;
    for (let i = 0, j = 0; i < shown; i++, j += 3) {
      const x = points[j],
        y = points[j + 1],
        z = points[j + 2];
      xs[i] = xx * x + xy * y + xz * z + x0;
      ys[i] = yx * x + yy * y + yz * z + y0;
    }
    this.at = (p) => [xx * p[0] + xy * p[1] + xz * p[2] + x0, yx * p[0] + yy * p[1] + yz * p[2] + y0];
  }

  /** Each point as a square of pixels; with `front`, those alone that have this place. */
  splat(pixels, size, wide, front = null) {
    const { xs, ys, colors, shown } = this,
      half = wide >> 1,
      most = size - wide;
    for (let i = 0; i < shown; i++) {
      const left = (xs[i] | 0) - half,
        top = (ys[i] | 0) - half,
        color = colors[i];
      if (front !== null && this.front[i] !== front) continue;
      if (left < 0 || top < 0 || left > most || top > most) continue;
      for (let y = 0, row = top * size + left; y < wide; y++, row += size)
        for (let x = 0; x < wide; x++) pixels[row + x] = color;
    }
  }

  draw() {
    const ratio = Math.min(2, devicePixelRatio || 1),
      size = Math.round(this.canvas.clientWidth * ratio);
    if (!this.view || size === 0) return;
    if (this.canvas.width !== size) {
      this.canvas.width = this.canvas.height = size;
      this.image = null;
    }
    const context = this.canvas.getContext("2d", { willReadFrequently: true }); // in memory, where pixels are written
    this.image ??= context.createImageData(size, size);
    const pixels = new Uint32Array(this.image.data.buffer);
    pixels.fill(0);
    this.project();
    const wide = Math.round((this.shown > 6000 ? 1.4 : this.shown > 1500 ? 2 : this.shown > 200 ? 3.2 : 6) * ratio);
    for (const front of this.front ? [0, 1] : [null]) this.splat(pixels, size, wide, front);
    context.putImageData(this.image, 0, 0);
    this.drawFrame(context, ratio);
    for (const line of this.path) this.drawLine(context, ratio, line);
    for (const place of this.rings ?? []) this.drawRing(context, ratio, ...this.at(place), true);
    for (const [point, strong] of this.marked)
      if (point < this.shown) {
        this.drawRing(context, ratio, this.xs[point], this.ys[point], strong);
        const name = this.nameOf?.(point);
        if (name) this.drawName(context, ratio, this.xs[point], this.ys[point], name);
      }
    if (this.box?.[1]) {
      const [[left, top], [right, bottom]] = this.box;
      context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
      context.lineWidth = 1.5 * ratio;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }

  /** Text with a halo of the paper's colour, to be read over points. */
  drawText(context, ratio, text, x, y) {
    const style = getComputedStyle(document.documentElement);
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.lineJoin = "round";
    context.lineWidth = 3 * ratio;
    context.strokeStyle = style.getPropertyValue("--paper");
    context.strokeText(text, x, y);
    context.fillStyle = style.getPropertyValue("--ink");
    context.fillText(text, x, y);
  }

  drawFrame(context, ratio) {
    const corners = this.view.corners.map(this.at);
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--line");
    context.lineWidth = ratio;
    context.beginPath();
    if (corners.length <= 4)
      corners.forEach((a, i) =>
        corners.slice(i + 1).forEach((b) => {
          context.moveTo(...a);
          context.lineTo(...b);
        }),
      );
    else {
      const middle = [0, 1].map((i) => corners.reduce((sum, corner) => sum + corner[i] / corners.length, 0));
      corners.forEach((a) => {
        context.moveTo(...middle);
        context.lineTo(...a);
      });
    }
    context.stroke();
    context.textAlign = "center";
    const middle = this.canvas.width / 2,
      cut = (text) => (text.length > 14 ? `${text.slice(0, 13)}…` : text),
      named = []; // corners at one place share a label
    corners.forEach(([x, y], place) => {
      context.fillStyle = rgb(anchor(this.view.chosen?.[place] ?? place));
      context.beginPath();
      context.arc(x, y, 4 * ratio, 0, 7);
      context.fill();
      const label = this.view.labels[place] ?? "",
        near = named.find((one) => Math.hypot(one.x - x, one.y - y) < 10 * ratio);
      if (near) near.names.push(label);
      else named.push({ x, y, names: [label] });
    });
    const prefix = this.view.labels.some((label) => /^\d+$/.test(label)) ? "state " : "";
    for (const { x, y, names } of named)
      this.drawText(context, ratio, cut(prefix + names.join(", ")), x, y + (y > middle ? 18 : -10) * ratio);
  }

  drawRing(context, ratio, x, y, strong) {
    for (const [width, color] of [
      [5, "--paper"],
      [2.5, strong ? "--accent" : "--ink"],
    ]) {
      context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue(color);
      context.lineWidth = width * ratio;
      context.beginPath();
      context.arc(x, y, 7 * ratio, 0, 7);
      context.stroke();
    }
  }

  drawName(context, ratio, x, y, name) {
    const inwards = this.canvas.width / 2 > x ? 1 : -1,
      width = context.measureText(name).width;
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--paper");
    context.fillRect(x + (inwards > 0 ? 9 * ratio : -width - 13 * ratio), y - 8 * ratio, width + 4 * ratio, 16 * ratio);
    context.textAlign = inwards > 0 ? "left" : "right";
    this.drawText(context, ratio, name, x + inwards * 12 * ratio, y + 4 * ratio);
  }

  /** A line {points, color, dashed, dots, closed, width} through places in the view, with a dot at each. */
  drawLine(context, ratio, { points, color, dashed, dots, closed, width = 1.5 }) {
    const places = points.map(this.at);
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = width * ratio;
    context.setLineDash(dashed ? [5 * ratio, 4 * ratio] : []);
    context.beginPath();
    places.forEach((place, i) => (i ? context.lineTo(...place) : context.moveTo(...place)));
    if (closed) context.closePath();
    context.stroke();
    context.setLineDash([]);
    for (const [i, [x, y]] of dots ? places.entries() : []) {
      context.beginPath();
      context.arc(x, y, (i === places.length - 1 ? 5.5 : 3) * ratio, 0, 7);
      if (dashed) context.stroke();
      else context.fill();
    }
  }
}

/** Colours of four bytes for the pixels of a canvas. */
function pixelColors(n, colorOf) {
  const colors = new Uint32Array(n),
    bytes = new Uint8ClampedArray(colors.buffer);
  for (let i = 0; i < n; i++) bytes.set([...colorOf(i), 255], 4 * i);
  return colors;
}
