"""Models signed with OpenSSF model signing, by its own tool."""

import os

import pytest

from harness import programs
from harness.data import random_file
from harness.waiting import wait_for

TOOL = programs.TOOLS / "venv" / "bin" / "model_signing"


def sh(*words):
    programs.check(programs.run(words, programs.clean_environment("/tmp")))


def signature_of(path):
    return os.getxattr(path, "user.modelfs.signature").decode()


@pytest.fixture
def keys(folder):
    """A key pair of ours, and one of somebody else."""
    for name in ("ours", "other"):
        sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / f"{name}.pem")
        sh("openssl", "ec", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}.pub")
    return folder


@pytest.fixture
def model(folder, keys):
    """A signed model of three files, one of them in a folder."""
    model = folder / "origin" / "models" / "m" / "v1"
    for name in ("config.json", "weights.bin", "sub dir/vocab.txt"):
        random_file(model / name, 3_000_000)
    sign(model, "key", "--private_key", keys / "ours.pem")
    return model


def sign(model, *how):
    sh(TOOL, "sign", *how, "--signature", model / "model.sig", model)


@pytest.fixture
def mounted(modelfs, folder, start_origin, model):
    """Mounts with a policy; all files of the model are looked up."""
    origin = start_origin()

    def mount(policy, *arguments):
        mount = modelfs.mount("m=s3://models", endpoint=origin.url, arguments=["--signature", policy, *arguments])
        return mount / "m" / "m" / "v1"

    return mount


def test_opens_what_was_signed(mounted, keys, model):
    top = mounted("enforce", "--signature-key", keys / "ours.pub")
    for name in ("config.json", "weights.bin", "sub dir/vocab.txt", "model.sig"):
        assert (top / name).read_bytes() == (model / name).read_bytes()
    assert signature_of(top / "weights.bin") == "valid"


def test_does_not_open_what_was_not(mounted, keys, model):
    (model / "weights.bin").write_bytes(b"x" * 3_000_000)
    (model / "added.py").write_bytes(b"import os")
    top = mounted("enforce", "--signature-key", keys / "ours.pub")
    for name in ("weights.bin", "added.py"):
        with pytest.raises(PermissionError):
            (top / name).read_bytes()
        assert signature_of(top / name) == "invalid"
    assert (top / "config.json").read_bytes() == (model / "config.json").read_bytes(), "the others are as they were"


def test_does_not_open_what_others_signed(mounted, keys, model):
    top = mounted("enforce", "--signature-key", keys / "other.pub")
    with pytest.raises(PermissionError):
        (top / "config.json").read_bytes()
    assert (top / "model.sig").read_bytes() == (model / "model.sig").read_bytes(), "it may be looked at"


def test_does_not_open_what_nobody_signed(mounted, keys, model):
    (model / "model.sig").unlink()
    top = mounted("enforce", "--signature-key", keys / "ours.pub")
    with pytest.raises(PermissionError):
        (top / "config.json").read_bytes()
    assert signature_of(top / "config.json") == "none"


def test_warns_and_opens(modelfs, mounted, keys, model):
    (model / "weights.bin").write_bytes(b"x" * 3_000_000)
    top = mounted("warn", "--signature-key", keys / "ours.pub")
    assert (top / "weights.bin").read_bytes() == b"x" * 3_000_000
    assert (top / "config.json").read_bytes() == (model / "config.json").read_bytes()

    def states():  # compared at an open at which it is whole
        for name in ("weights.bin", "config.json"):
            (top / name).open("rb").close()
        return (signature_of(top / "weights.bin"), signature_of(top / "config.json"))

    wait_for(lambda: states() == ("invalid", "valid"), "both are compared")


def test_believes_a_certificate(mounted, folder, keys, model):
    """A chain as the tool wants it: an authority, and a certificate to sign with."""
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
       "-days", "30", "-subj", "/CN=Authority")
    sh("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", folder / "sign.key", "-out", folder / "sign.csr", "-subj", "/CN=Signer")
    (folder / "usage").write_text("keyUsage=digitalSignature\nextendedKeyUsage=codeSigning\n")
    sh("openssl", "x509", "-req", "-in", folder / "sign.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "20",
       "-extfile", folder / "usage", "-out", folder / "sign.pem")
    sign(model, "certificate", "--private_key", folder / "sign.key", "--signing_certificate", folder / "sign.pem", "--certificate_chain", folder / "ca.pem")
    top = mounted("enforce", "--signature-ca", folder / "ca.pem")
    assert (top / "config.json").read_bytes() == (model / "config.json").read_bytes()


def test_another_authority_is_not_believed(mounted, folder, keys, model):
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "x.key", "-out", folder / "x.pem",
       "-days", "30", "-subj", "/CN=Other")
    top = mounted("enforce", "--signature-ca", folder / "x.pem")
    with pytest.raises(PermissionError):
        (top / "config.json").read_bytes()


def test_bad_settings(modelfs, folder, keys):
    """Each names what is wrong."""
    path = modelfs.new_mount_point()
    for arguments, wanted in [(["--signature", "enforce"], "signature_key or signature_ca"),
                              (["--signature", "sometimes"], "off, warn, enforce"),
                              (["--signature", "warn", "--signature-key", folder / "missing"], "missing"),
                              (["--signature", "warn", "--signature-key", folder / "ours.pem", "--signature-ca", folder / "ours.pem"], "either")]:
        result = modelfs.run("mount", "--source", f"m=dir:{folder}", "--cache", folder / "cache", *arguments, path)
        assert result.returncode != 0 and wanted in result.stderr, result.stderr
