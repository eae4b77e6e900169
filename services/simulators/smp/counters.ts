/** What happened in the stand-in since its start, for tests that compare it with what others saw. */
export interface SmpCounters {
  /** Sessions that completed the handshake. */
  sessions: number;
  blocks: number;
  commands: number;
  /** Commands answered with an error. */
  errors: number;
  /** Messages accepted by SEND. */
  messages: number;
  /** Notifications stored, put in a send queue, died with a connection, expired, dropped for room. */
  notificationsStored: number;
  notificationsSent: number;
  notificationsLost: number;
  notificationsExpired: number;
  notificationsDropped: number;
}

export const newCounters = (): SmpCounters => ({
  sessions: 0,
  blocks: 0,
  commands: 0,
  errors: 0,
  messages: 0,
  notificationsStored: 0,
  notificationsSent: 0,
  notificationsLost: 0,
  notificationsExpired: 0,
  notificationsDropped: 0,
});
