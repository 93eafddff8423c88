"""Operations over WebSockets."""
