"""The practice workspace, cluster and Prometheus, tested as the parts of the product that they are."""
