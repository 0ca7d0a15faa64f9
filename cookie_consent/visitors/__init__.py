"""The pages and endpoints under the prefix, for visitors."""
