/** @type {Consent} */
export const consent: Consent;
/**
 * purpose id -> whether it is allowed, "necessary" included
 */
export type Purposes = Readonly<Record<string, boolean>>;
export type State = {
  purposes: Purposes;
  outcome: string;
  should_ask: boolean;
  decided_at: string | null;
  reloads: boolean;
  message?: string;
  page?: Promise<{
    tell(closed?: boolean): void;
  }>;
};
/**
 * What pages may ask, as `window.consent`.
 */
export type Consent = {
  /**
   * whether a purpose is allowed now; false until `ready`
   */
  allows: (purpose: string) => boolean;
  /**
   * what holds now
   */
  purposes: Purposes;
  /**
   * calls the listener after
   * each change, until the function that it returns is called; `document` hears a "consentchange" event likewise
   */
  on: (type: "change", listener: (purposes: Purposes) => void) => () => void;
  /**
   * opens the question, or the settings, in place
   */
  show: () => Promise<void>;
  /**
   * resolves when it is known what holds
   */
  ready: Promise<Purposes>;
};
