"""What people see in Slack: every text and Block Kit rendering (pure), and the room that posts it."""
