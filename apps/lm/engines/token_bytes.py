"""The bytes of single tokens, which tokenizers write as text in one of two ways.

Byte-level BPE has a character for each byte: printable ones of Latin-1 stand for themselves, and the others for the
code points from 256 on. Other tokenizers write a mark for a space, and bytes that are no text as `<0xE2>`.
"""

import re

PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]
CHARACTERS = {chr(byte): byte for byte in PRINTABLE} | {chr(256 + index): byte for index, byte in enumerate(OTHERS)}
BYTES = {character: bytes([byte]) for character, byte in CHARACTERS.items()}
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def token_bytes(written: str, decoder: object) -> bytes:
    """Return the bytes of a token that a vocabulary has as `written`; `decoder` is its tokenizer's, or None."""
    if "ByteLevel" in str(decoder):
        return b"".join(BYTES.get(character, character.encode()) for character in written)
    if byte := re.fullmatch("<0x([0-9A-F]{2})>", written):
        return bytes.fromhex(byte[1])
    return written.replace(SPACE, " ").encode()
