"""How the middleware takes an answer: read it, record it, set cookies, start or stop tracing."""
