"""Ends TLS in front of a plain server on loopback: tls.py CERTIFICATE KEY HOST:PORT. Prints its own port; ends with its input."""

import select
import socket
import ssl
import sys
import threading


def serve(stream, context, backend):
    """One thread for both directions: a TLS connection is not read and written at once."""
    try:
        with context.wrap_socket(stream, server_side=True) as client, socket.create_connection(backend) as server:
            other = {client: server, server: client}
            while True:
                ready = [client] if client.pending() else select.select([client, server], [], [])[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)
    except OSError:
        pass  # Clients that do not trust the certificate break off here.


def main():
    certificate, key, address = sys.argv[1:]
    host, port = address.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream, context, (host, int(port))), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


main()
