"""Who may do what: rooms, people, the wire protocol, the HTTP API. Composes every other package."""

__version__ = "0.1.0"
