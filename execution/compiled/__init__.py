"""Operations that run as functions made from them once."""
