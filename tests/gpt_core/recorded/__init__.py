"""Dialogues with engines that are not ours, kept so that tests need none of them."""
