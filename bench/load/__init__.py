"""The load client: raw sockets on one epoll loop, fast enough not to be what is measured."""
