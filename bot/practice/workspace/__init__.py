"""The practice Slack workspace: its state, its Web API, its deliveries to the app, and the page people see."""
