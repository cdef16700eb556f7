"""Everything that is stored, in one object."""

from __future__ import annotations

from community.audit import Audit
from community.broadcasts import Broadcasts
from community.chat import Chat
from community.consents import Consents
from community.database import Database
from community.glossary import Glossary
from community.groups import Groups
from community.links import Links
from community.members import Members
from community.passwords import Passwords
from community.polls import Polls
from community.questions import Questions
from community.recordings import Recordings
from community.rooms import Rooms
from community.search import Search
from community.shares import Shares
from community.tickets import Tickets


class Store:
    """The tables by what they are for, on one database."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.audit = Audit(self.database)
        self.broadcasts = Broadcasts(self.database)
        self.chat = Chat(self.database)
        self.consents = Consents(self.database)
        self.glossary = Glossary(self.database)
        self.groups = Groups(self.database)
        self.links = Links(self.database)
        passwords = Passwords()
        self.members = Members(self.database, passwords)
        self.polls = Polls(self.database)
        self.questions = Questions(self.database)
        self.recordings = Recordings(self.database)
        self.rooms = Rooms(self.database)
        self.search = Search(self.database)
        self.shares = Shares(self.database, passwords)
        self.tickets = Tickets(self.database)

    async def open(self) -> None:
        """Brings the schema up to date."""
        await self.database.open()

    async def close(self) -> None:
        """Closes the database."""
        await self.database.close()
