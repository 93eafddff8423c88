"""How clients and operators reach the service."""
