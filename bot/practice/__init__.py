"""A local Slack workspace and a small Kubernetes that behave: for the demo, for drills and for tests."""
