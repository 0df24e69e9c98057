"""How languages write figures, where Django's own tables say otherwise than people do."""
