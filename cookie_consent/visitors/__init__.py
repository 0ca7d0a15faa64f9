"""What visitors read and may do: the pages and endpoints under the prefix."""
