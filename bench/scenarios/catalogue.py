"""Every scenario, in the order in which they are run."""

from bench.cluster import missing_postgres
from bench.scenarios import (
    client_limit,
    clients,
    create_order,
    fan_out,
    growth,
    latency,
    memory,
    orders,
    postgres,
    reconnect,
)
from bench.scenarios.plan import Scenario
from bench.systems import BARE, BISTRO92, MERCURIUS, REST, STRAWBERRY

_ALL = (BISTRO92, MERCURIUS, STRAWBERRY, REST)
_TWO = (BISTRO92, MERCURIUS)

SCENARIOS = (
    Scenario(
        "client",
        "the load client against an empty server, and the disk",
        (client_limit.EMPTY,),
        client_limit.measure,
        quick_systems=(client_limit.EMPTY,),
    ),
    Scenario(
        "create",
        "createOrder, 2 items, 64 connections",
        (*_ALL, BARE),
        create_order.measure,
        quick_systems=(BISTRO92, MERCURIUS, STRAWBERRY, BARE),
    ),
    Scenario(
        "orders",
        "orders(first: 50) with items, 32 connections, nothing written",
        _ALL,
        orders.measure_unchanged,
        quick_systems=_TWO,
    ),
    Scenario(
        "orders-while-writing",
        "orders(first: 50) with items, 32 connections, while 200 orders/s are placed",
        _TWO,
        orders.measure_while_writing,
        quick_systems=_TWO,
    ),
    Scenario(
        "clients",
        "what real clients send: orders, 64 connections; pages of 200, 32 connections",
        (BISTRO92,),
        clients.measure,
    ),
    Scenario(
        "fan-out",
        "500 screens, one selection, orders from 8 clients",
        _ALL,
        fan_out.measure_one_selection,
        quick_systems=_TWO,
    ),
    Scenario(
        "ten-selections",
        "500 screens, 10 selections, orders from 8 clients",
        _TWO,
        fan_out.measure_ten_selections,
        quick_systems=(BISTRO92,),
    ),
    Scenario(
        "latency",
        "200 orders/s, 100 screens: from sending the order to the last delivery",
        (BISTRO92, MERCURIUS, REST),
        latency.measure,
        quick_systems=_TWO,
    ),
    Scenario(
        "growth",
        "1,000 and 1,000,000 stored orders",
        (BISTRO92,),
        growth.measure,
    ),
    Scenario(
        "memory-screens",
        "memory of a connected screen",
        _TWO,
        memory.measure_screens,
    ),
    Scenario(
        "reconnect",
        "1,000 screens come back at once, each 200 orders behind",
        (BISTRO92,),
        reconnect.measure,
    ),
    Scenario(
        "memory-orders",
        "memory after 50,000 and 200,000 orders",
        (BISTRO92,),
        memory.measure_orders,
        once=True,
    ),
    Scenario(
        "memory-stalled",
        "memory while orders go on and 100 screens do not read",
        (BISTRO92,),
        memory.measure_stalled,
        once=True,
    ),
    Scenario(
        "postgres",
        "PostgreSQL, all processes on all cores",
        (BISTRO92,),
        postgres.measure,
        once=True,
        missing=missing_postgres(),
    ),
)
