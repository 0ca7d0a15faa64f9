"""HTTP and process plumbing; knows nothing of consent."""
