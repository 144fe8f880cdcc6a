#!/usr/bin/python3
"""Sends frames into an interface as fast as the kernel takes them, many with one system call.

    tap-sender.py INTERFACE FRAME_BYTES FRAME_HEX DESTINATIONS SECONDS
"""
import ctypes
import socket
import struct
import sys
import time

BATCH = 64
ADDRESS_OFFSET = 30
libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.c_void_p), ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int), ("sent", ctypes.c_uint32),
    ]


def main():
    interface, size, frame, destinations, seconds = sys.argv[1:]
    size, destinations, seconds = int(size), int(destinations), float(seconds)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((interface, 0))
    frames = (ctypes.c_char * size * BATCH)()
    vectors = (Iovec * BATCH)()
    headers = (Header * BATCH)()
    for n in range(BATCH):
        frames[n].raw = bytes.fromhex(frame)
        vectors[n] = Iovec(ctypes.addressof(frames[n]), size)
        headers[n].vectors = ctypes.addressof(vectors[n])
        headers[n].count = 1
    view = memoryview(frames).cast("B")
    first = struct.unpack_from("!I", view, ADDRESS_OFFSET)[0]
    end = time.monotonic() + seconds
    destination = 0
    while time.monotonic() < end:
        for n in range(BATCH):
            struct.pack_into("!I", view, n * size + ADDRESS_OFFSET, first + destination)
            destination = (destination + 1) % destinations
        # A queue that is full is what this is for.
        libc.sendmmsg(sender.fileno(), ctypes.byref(headers), BATCH, 0)


main()
