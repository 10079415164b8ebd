"""Certificates for servers on 127.0.0.1, good and bad, as PEM files."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A CA of its own; `file` is what clients trust."""

    def __init__(self, folder, name):
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=None), NOW - DAY, NOW + DAY)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, key, extension, begins, ends):
        builder = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(self._name)).public_key(key).serial_number(x509.random_serial_number())
        return builder.not_valid_before(begins).not_valid_after(ends).add_extension(extension, critical=False).sign(self._key, hashes.SHA256())

    def server(self, name, address="127.0.0.1", begins=NOW - DAY, ends=NOW + DAY):
        """The PEM file with key and certificate of a server at `address`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), begins, ends)
        file = self._folder / f"{name}.pem"
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                         + certificate.public_bytes(serialization.Encoding.PEM))
        return file
