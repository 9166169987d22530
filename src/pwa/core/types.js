// Shapes on the wire (schemas/, openapi.json) and of the app's own model. Types only; nothing here runs.

/**
 * @typedef {{ r: number, g: number, b: number }} Rgb
 * @typedef {{ h: number, s: number, v: number }} Hsv h in degrees, s and v 0..1
 *
 * @typedef {{ type: "state", r: number, g: number, b: number, seq: number, ts: number }} StateMessage
 * @typedef {{ ch: number, val: number }} ChannelLevel
 * @typedef {{ type: "state.update", rev: number, ts: number, universe: number, delta: ChannelLevel[], full: boolean }} UpdateMessage
 * @typedef {{ id: string, src: string, universes: number[], channels: number, startedAt: number, durationMs: number, easing: string }} Fade
 * @typedef {{ master: number, blackout: boolean, scene: string | null, fades: Fade[] }} Desk
 * @typedef {Desk & { type: "desk" }} DeskMessage
 * @typedef {{ id: string, online: boolean, since: number, ip?: string | null, clientId?: string | null }} Device
 * @typedef {{ type: "devices", devices: Device[] }} DevicesMessage
 * @typedef {{ type: "pong", ts: number }} PongMessage
 * @typedef {{ type: "err", code: string | number, message?: string, cmdId?: string }} ErrMessage
 * @typedef {{ type?: undefined, ack: string | null, accepted: boolean, ts: number, reason?: string | null, duplicate?: boolean }} AckMessage
 * @typedef {{ type: "patch", etag: string }} PatchMessage Another patch is in force.
 * @typedef {StateMessage | UpdateMessage | DeskMessage | DevicesMessage | PatchMessage | PongMessage | ErrMessage | AckMessage} Message
 *
 * @typedef {{ id: string, name: string, channelValues: Record<string, number>, timestamp?: number | null, description?: string | null,
 *   tags?: string[] | null, favorite?: boolean | null, fadeMs?: number | null, universes?: number[] | null }} Scene
 * @typedef {{ id: string, name: string, venue?: string | null, eventDate?: string | null, notes?: string | null,
 *   createdAt?: number, updatedAt?: number, lastBackupAt?: number | null }} Project
 * @typedef {{ activeId: string, projects: Project[] }} Projects
 * @typedef {{ versionId: string, createdAt: number, size: number, label?: string | null, provider: string, encrypted: boolean }} Version
 * @typedef {{ running: boolean, phase: string | null, bytesDone: number, bytesTotal: number, lastError: string | null }} BackupStatus
 * @typedef {{ name: string, enabled: boolean, connected: boolean, target: string, universe: number, framesSent: number, fps: number,
 *   errors: number, reconnects: number, lastError: string | null, lastErrorAt: number | null }} Port
 * @typedef {{ clientId: string, connected: boolean, since: number, peer: string, connections: number, lastSeen: number,
 *   messagesIn: number, messagesOut: number, rejected: number, denied: number,
 *   lastDisconnect: { at: number, why: string, willPublished: boolean } | null }} Client
 * @typedef {{ clientId?: string, address: string, at: number, count: number, why: string }} Refused
 * @typedef {{ port: string, vendorId: number, productId: number, manufacturer?: string | null, product?: string | null,
 *   serialNumber?: string | null }} UsbDevice
 * @typedef {{ version: string, projects: boolean, backups: boolean, settings: { file: string, onCard: boolean }, name: string | null, addresses: string[], mqtt: string[], keyKnown: boolean }} About
 * @typedef {{ ready: boolean, mqttConnected: boolean, queueDepth: number, problems: { code: string, message: string }[] }} Ready
 * @typedef {{ added: string[], changed: string[], removed: string[] }} ListChanges
 * @typedef {{ dryRun: boolean, channels: number, changes: Record<string, ListChanges>, universesLeftOut?: number[] }} RestoreDryRun
 *
 * @typedef {"intensity" | "red" | "green" | "blue" | "white" | "amber" | "uv" | "lime" | "cyan" | "magenta" | "yellow" | "warm_white" | "cold_white"
 *   | "cct" | "pan" | "tilt" | "zoom" | "focus" | "iris" | "gobo" | "color_wheel" | "prism" | "shutter" | "strobe" | "speed" | "macro" | "other"} Kind
 * @typedef {{ id: string, number?: number, name: string, kind: Kind, fine?: boolean }} FixtureChannel
 * @typedef {{ id: string, name: string, universe: number, dmxAddress: number, footprint: [number, number], channels: FixtureChannel[],
 *   type?: string, mode?: string, fixtureType?: string, groups?: string[], topic?: string, channelCount?: number }} Fixture
 * @typedef {{ id: string, name: string }} Group
 * @typedef {{ id: string, name?: string, number: number }} Universe
 * @typedef {{ universes: Universe[], fixtures: Fixture[], groups: Group[] }} Patch Fixtures with a place.
 * @typedef {Partial<Fixture> & { id: string, name: string }} Unplaced A fixture that the show's document gives no place.
 * @typedef {{ fixture?: string, message: string }} PatchWarning
 * @typedef {{ universes: Universe[], fixtures: (Fixture | Unplaced)[], groups: Group[], warnings?: PatchWarning[] }} PatchAnswer
 * @typedef {{ name: string, channelCount: number, kinds: string[] }} FixtureMode
 * @typedef {{ id: string, name: string, manufacturer?: string, modes: FixtureMode[], builtIn: boolean }} FixtureType
 *
 * @typedef {"view" | "operate" | "edit" | "admin" | "device"} Role
 * @typedef {{ id: string, name: string }} PanelScene
 * @typedef {"none" | "on" | "both"} PanelBlackout
 * @typedef {{ id: string, name: string, looks: string[], cuelists: string[], master: boolean, blackout: PanelBlackout, createdAt: number, url?: string }} Panel
 * @typedef {{ name: string, kind: "anonymous" | "key" | "user" | "panel", role: Role | null, mode: "audit" | "required", lockedBySettings: boolean,
 *   hasAdmin: boolean, panel?: { name: string, master: boolean, blackout: PanelBlackout, scenes: PanelScene[] } }} Me
 * @typedef {{ id: string, name: string, role: Role, secret: string, createdAt: number, logins: number, key?: string }} User
 * @typedef {{ admin: User | null, token: string | null }} Locked
 * @typedef {{ ts: number, who: string, what: string, from: string | null, refused: boolean }} Deed
 */

export {};
