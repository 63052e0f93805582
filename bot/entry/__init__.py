"""What comes in: webhooks, Slack, the API, operation. Translates, calls flow, replies; nothing else."""
