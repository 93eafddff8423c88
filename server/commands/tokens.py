"""`python app.py token …`: create, list and revoke the tokens of devices, also while serving."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from db.errors import StartError
from db.opening import open_tokens
from db.tokens import Role, Token, TokenError, TokenStore
from resolvers.text import trimmed
from server.commands.reporting import done, refused
from server.settings import Settings
from server.streams import NotShownError, remark, show

if TYPE_CHECKING:
    from argparse import _SubParsersAction

Command = Callable[[Settings, argparse.Namespace], int]
_Action = Callable[[TokenStore, argparse.Namespace], Awaitable[int]]


def add_commands(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `token`; what is parsed has `run`, a function that returns the exit status."""
    token = subparsers.add_parser("token", help="create, list and revoke the tokens of devices")
    commands = token.add_subparsers(title="commands", required=True)
    create = commands.add_parser("create", help="create a token and print it: it is shown once")
    create.add_argument("--role", required=True, choices=[role.value for role in Role])
    create.add_argument("--name", required=True, help="what the device is called")
    create.set_defaults(run=_command(_create))
    listing = commands.add_parser("list", help="list all tokens; the secrets are not stored")
    listing.set_defaults(run=_command(_list))
    revoke = commands.add_parser("revoke", help="revoke a token; it can't be undone")
    revoke.add_argument("token", metavar="NAME_OR_ID")
    revoke.set_defaults(run=_command(_revoke))


def _command(action: _Action) -> Command:
    def run(settings: Settings, arguments: argparse.Namespace) -> int:
        try:
            return asyncio.run(_act(action, settings, arguments))
        except (StartError, TokenError, NotShownError) as error:
            return refused(str(error))

    return run


async def _act(action: _Action, settings: Settings, arguments: argparse.Namespace) -> int:
    async with open_tokens(settings.database(), read_only=False) as store:
        return await action(store, arguments)


async def _create(store: TokenStore, arguments: argparse.Namespace) -> int:
    if not trimmed(arguments.name):
        raise TokenError("A name must show something: nobody could tell which device it is.")

    def hand_over(token: str) -> None:
        # The token alone is on the standard output, so that a script can take it.
        remark("This is shown once. The service accepts it within a second:\n")
        show(f"{token}\n")

    await store.create(Role(arguments.role), arguments.name, hand_over)
    return 0


async def _list(store: TokenStore, _arguments: argparse.Namespace) -> int:
    tokens = (await store.load()).all
    rows = [("id", "role", "created", "revoked", "name"), *map(_row, tokens)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    show("".join(f"{line}\n" for line in lines))
    return 0


def _row(token: Token) -> tuple[str, str, str, str, str]:
    revoked = "-" if token.revoked_at_us is None else _time(token.revoked_at_us)
    return token.id, token.role.value, _time(token.created_at_us), revoked, token.name


def _time(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def _revoke(store: TokenStore, arguments: argparse.Namespace) -> int:
    token = await store.revoke(arguments.token)
    return done(f"Revoked {token.id} ({token.role.value}, {token.name}).")
