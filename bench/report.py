"""How run.py's figures are shown."""

from __future__ import annotations

from typing import Any


def machine(found: dict[str, Any]) -> None:
    print(f"{found['cores']} cores (shared with the load), Python {found['python']}, load {found['load']}, ", end="")
    print(f"4 KiB made durable in {found['sync_ms']} ms")


def storm_head(seconds: float) -> None:
    print(
        f"\nAlerts accepted (2xx after the commit), {seconds:g} s each; new alerts belong to 100 incidents, repeats to 1000 known alerts"
    )
    print(
        f"{'database':9} {'per POST':>8} {'repeated':>8} {'alerts/s':>9} {'POST/s':>7} {'answer p50':>10} {'p99 ms':>7} ",
        end="",
    )
    print(f"{'server CPU':>10} {'a CPU second':>12} {'db CPU':>7} {'load CPU':>8} {'lost':>5}")


def storm(one: dict[str, Any]) -> None:
    answer = one["answer"]
    print(
        f"{one['database']:9} {one['per_post']:8d} {one['repeated']:8.0%} {one['accepted_s']:9,} {one['deliveries_s']:7,} {_ms(answer['p50']):>10} "
        f"{_ms(answer['p99']):>7} {one['server_cpu_s']:9.2f}s {one['accepted_per_cpu_s'] or 0:12,} {one['database_cpu_s']:6.2f}s "
        f"{one['client_cpu_s']:7.2f}s {one['accepted'] - one['rows']:5d}",
        flush=True,
    )


def latency_head(rate: float, new: float) -> None:
    print(
        f"\nFrom POST to Slack at {rate:g} alerts/s, 1 per POST, {new:.0%} of them a new incident, the rest repeats; Slack answers at once"
    )
    print(
        f"{'database':9} {'incidents':>9} {'first call p50':>14} {'p99 ms':>7} {'page p50':>9} {'p99 ms':>7} {'card p50':>9} {'p99 ms':>7} ",
        end="",
    )
    print(f"{'answer p50':>10} {'p99 ms':>7} {'server CPU':>10}")


def latency(one: dict[str, Any]) -> None:
    shown = [f"{one['database']:9} {one['incidents']:9d}"]
    for name, width in (("first_call", 14), ("page", 9), ("card", 9), ("answer", 10)):
        shown.append(f"{_ms(one[name]['p50']):>{width}} {_ms(one[name]['p99']):>7}")
    print(" ".join(shown), f"{one['cpu_share']:9.0%}", flush=True)


def memory(storms: list[dict[str, Any]]) -> None:
    for one in storms:
        if "settled" in one["memory"]:
            print(
                f"\nMemory of the server, MiB (RSS / PSS), {one['accepted']:,} alerts kept in {one['database']}: ",
                end="",
            )
            print("; ".join(f"{name} {size['rss']:.0f} / {size['pss']:.0f}" for name, size in one["memory"].items()))


def ratios(bare: list[dict[str, Any]], found: dict[str, Any]) -> None:
    print("\nRelative to what else this machine does (SQLite, all new)")
    for one in bare:
        size = one["per_post"]
        print(
            f"  {size:3d} per POST: a bare aiohttp handler takes {one['accepted_s']:,}/s ({one['accepted_per_cpu_s']:,} a CPU second); "
            f"Tocsin {found['to_bare_server'][size]:.2f} of it ({found['to_bare_server_by_cpu'][size]:.2f} by CPU)"
        )
    shares = ", ".join(f"{share:.2f} at {size} per POST" for size, share in found["to_raw_inserts"].items())
    print(f"  raw SQLAlchemy inserts, grouped by 1000: {found['raw_inserts_s']:,} alerts/s; Tocsin {shares}")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def runs(found: dict[str, Any]) -> None:
    click, crash = found["click_to_act"], found["resume"]
    print("\nRuns of runbooks, in one process over SQLite; the outside world answers at once")
    print(f"from the click to the call: p50 {_ms(click['p50'])} ms, p99 {_ms(click['p99'])} ms; ", end="")
    print(f"a step from its click to verified: p50 {found['step_ms']} ms; ", end="")
    print(f"{found['runs_per_second']} runs a second (three approved steps each)")
    print(
        f"after a crash with {crash['runs']:,} open runs: all looked at in {crash['all_seen_s']} s, at rest in {crash['at_rest_s']} s"
    )


def signal(found: dict[str, Any]) -> None:
    alone, served = found["triage"], found["served"]
    print(
        "\nReasons to stay quiet: 1,000 silences, 200 inhibition rules, 200 routes, 10,000 active alerts, against none of them"
    )
    print(
        f"triage alone: {alone['many']:,} alerts a second and core, {alone['none']:,} with none: {alone['ratio']:.2f} of it"
    )
    print(
        f"accepted (SQLite, 100 per POST, all new): {served['many']['accepted_s']:,} alerts/s, {served['none']['accepted_s']:,} with none: "
        f"{served['ratio']:.2f} of it ({served['ratio_by_cpu']:.2f} by CPU)",
        flush=True,
    )


def escalation_head(quick: bool) -> None:
    print(
        "\nEscalations that come due together: from due to decided (committed), and to the page at the medium, which answers at once"
    )
    print(
        f"{'database':10} {'due':>6} {'within':>7} {'others':>7} {'decided p50':>11} {'p99':>7} {'max ms':>7} {'page p50':>9} ",
        end="",
    )
    print(f"{'p99':>7} {'max ms':>7} {'commits':>7} {'server CPU':>10} {'missed':>6} {'twice':>5}")


def escalations(one: dict[str, Any]) -> None:
    decided, page = one["decision"], one["page"]
    print(
        f"{one['database']:10} {one['count']:6,} {one['within_s']:6g}s {one['other_timers']:7,} {_ms(decided['p50']):>11} {_ms(decided['p99']):>7} "
        f"{_ms(decided['max']):>7} {_ms(page['p50']):>9} {_ms(page['p99']):>7} {_ms(page['max']):>7} {one['batches']:7d} {one['cpu_s']:9.2f}s "
        f"{one['missed'] + one['pages_missed']:6d} {one['pages_twice']:5d}",
        flush=True,
    )
