import type { Consent } from "./choices.js";

/**
 * Tells of something that happened on this page, if the visitor allows tracing now, and the purpose that it is for.
 * The name is of a-z, 0-9 and _ . : -, at most 64 characters; at most 10 properties, texts of at most 200 characters.
 */
export type Track = (
  name: string,
  properties?: Readonly<Record<string, string | number | boolean>>,
  options?: { purpose?: string },
) => Promise<void>;

declare global {
  interface Window {
    /** What the visitor allows; there once `choices.js` or `track.js` has run. `track` comes with the latter. */
    consent: Consent & { track?: Track };
    /** The Navigation API, which TypeScript does not know yet. */
    navigation?: { currentEntry?: { index: number }; entries?: () => { url: string | null }[] };
    /** What `choices.js` has made, so that it is made once. */
    consentChoices?: Consent;
    /** Tells vendors' tags what holds now, each if that has changed for it; there where `vendors.js` has run. */
    consentSignals?: (holds: Readonly<Record<string, unknown>>) => void;
  }
  interface Navigator {
    /** Global Privacy Control, section "JavaScript Property". */
    readonly globalPrivacyControl?: boolean;
  }
  interface DocumentEventMap {
    /** The visitor's answer has changed; `detail` says what holds now. */
    consentchange: CustomEvent<Readonly<Record<string, boolean>>>;
  }
}
