"""Tests of what is offered for the tests of sites."""
