"""The middleware as a whole: under servers, over a visit."""
