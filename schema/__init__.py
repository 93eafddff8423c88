"""The GraphQL vocabulary of Bistro92."""

from schema.build import build_schema

__all__ = ["build_schema"]
