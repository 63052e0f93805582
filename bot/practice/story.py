"""The demo's world: a small shop whose last deployment of `checkout` was a mistake; `tocsin demo` starts from it."""

from __future__ import annotations

from bot.practice.cluster import Cluster

NAMESPACE, DEPLOYMENT, GOOD_IMAGE, BAD_IMAGE = "shop", "checkout", "checkout:1.4.1", "checkout:1.4.2"
DAY = 86400.0


def demo_world(cluster: Cluster) -> None:
    """Namespace `shop`: `checkout` at its bad revision 14, three minutes old, and three services that are well."""
    cluster.bad_images.add(BAD_IMAGE)
    cluster.create_deployment(NAMESPACE, "cart", "cart:2.7.0", 2, [(4, "cart:2.6.3", 40 * DAY)], age=12 * DAY)
    cluster.create_deployment(
        NAMESPACE, "payments", "payments:3.8.1", 3, [(8, "payments:3.8.0", 30 * DAY)], age=9 * DAY
    )
    cluster.create_deployment(NAMESPACE, "search", "search:0.19.4", 2, [(21, "search:0.19.3", 6 * DAY)], age=1 * DAY)
    history = [(12, "checkout:1.4.0", 16 * DAY), (13, GOOD_IMAGE, 2 * DAY)]
    cluster.create_deployment(NAMESPACE, DEPLOYMENT, BAD_IMAGE, 3, history, age=180)


def break_checkout(cluster: Cluster) -> None:
    """Deploy the bad image (again)."""
    cluster.bad_images.add(BAD_IMAGE)
    cluster.set_image(NAMESPACE, DEPLOYMENT, BAD_IMAGE)
