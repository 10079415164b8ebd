"""Models from real MLflow servers: every way that bytes can come, with MLflow's own client as the judge."""

import json
import os
import re

import numpy
import pytest

from harness import canaries, minilm, mlflow
from harness.servers import Pages, Versitygw
from harness.waiting import wait_for

MIB = 1 << 20
PASSWORD, WRONG = canaries.secret("mlflow"), canaries.secret("wrong")


class Setting:
    """A server, its storage, and what a mount needs to know."""

    def __init__(self, name, server, storage=None, s3=None, direct=False):
        self.name, self.server, self.storage, self.s3, self.direct = name, server, storage, s3, direct

    def mount(self, modelfs, *arguments, **variables):
        """Mounts without any AWS credentials but those that this setting wants."""
        own = mlflow.s3_variables(self.s3) if self.direct else {}
        hide = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        return modelfs.mount("mlflow:" + self.server.url, arguments=arguments, **hide | own | login(self.server) | variables)

    def stop(self):
        self.server.stop()


def login(server):
    if not server.login:
        return {}
    return {"MLFLOW_TRACKING_USERNAME": server.login[0], "MLFLOW_TRACKING_PASSWORD": server.login[1]}


@pytest.fixture(scope="session")
def mlflow_s3(scratch):
    (scratch / "mlflow-s3").mkdir()
    server = Versitygw(scratch / "mlflow-s3")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def local(scratch):
    """The artifact proxy before a local folder."""
    server = mlflow.Mlflow(scratch / "local", "--artifacts-destination", scratch / "local-artifacts")
    server.predictions = server.register("iris", 2)
    server.set_alias("iris", "champion", 1)
    yield Setting("local", server, scratch / "local-artifacts")
    server.stop()


@pytest.fixture(scope="session")
def proxied(scratch, mlflow_s3):
    """The artifact proxy before S3."""
    server = mlflow.Mlflow(scratch / "proxied", "--artifacts-destination", "s3://models/proxied", **mlflow.s3_variables(mlflow_s3))
    server.predictions = server.register("iris", 2)
    server.set_alias("iris", "champion", 1)
    yield Setting("proxied", server, mlflow_s3.root / "models/proxied", mlflow_s3)
    server.stop()


@pytest.fixture(scope="session")
def direct(scratch, mlflow_s3):
    """No artifact proxy: clients speak to S3 themselves."""
    server = mlflow.Mlflow(scratch / "direct", "--no-serve-artifacts", "--default-artifact-root", "s3://models/direct",
                           **mlflow.s3_variables(mlflow_s3))
    server.predictions = server.register("iris", 2, **mlflow.s3_variables(mlflow_s3))
    server.set_alias("iris", "champion", 1)
    yield Setting("direct", server, mlflow_s3.root / "models/direct", mlflow_s3, direct=True)
    server.stop()


@pytest.fixture(scope="session")
def guarded(scratch):
    """--app-name basic-auth."""
    server = mlflow.Mlflow(scratch / "guarded", "--app-name", "basic-auth", "--artifacts-destination", scratch / "guarded-artifacts",
                           login=("admin", PASSWORD), MLFLOW_FLASK_SERVER_SECRET_KEY="for tests only",
                           MLFLOW_AUTH_CONFIG_PATH=auth_config(scratch))
    server.predictions = server.register("iris", 2)
    server.set_alias("iris", "champion", 1)
    yield Setting("guarded", server, scratch / "guarded-artifacts")
    server.stop()


@pytest.fixture(scope="session")
def version_2(scratch):
    """The last MLflow 2, which knows stages and no logged models: an older server with clients of its time."""
    server = mlflow.Mlflow(scratch / "version-2", "--artifacts-destination", scratch / "version-2-artifacts", venv=mlflow.VENV_2)
    server.predictions = server.register("iris", 2)
    server.set_alias("iris", "champion", 1)
    yield Setting("version_2", server, scratch / "version-2-artifacts")
    server.stop()


def auth_config(scratch):
    path = scratch / "basic_auth.ini"
    path.write_text("[mlflow]\ndefault_permission = READ\n" f"database_uri = sqlite:///{scratch}/basic_auth.db\n"
                    f"admin_username = admin\nadmin_password = {PASSWORD}\n"
                    "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n")
    return path


def load(setting, *paths, flavour=mlflow.LOAD):
    """What models at `paths` predict, asked of MLflow's client, which gets no server to ask."""
    return mlflow.run_python(setting.server.folder, flavour, *paths, venv=setting.server.venv, MLFLOW_TRACKING_URI="http://127.0.0.1:1",
                             **mlflow.QUIET)


SETTINGS = ["local", "proxied", "direct", "guarded", "version_2"]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.timeout(600)
def test_loads_what_mlflow_would_download(name, request, modelfs):
    setting = request.getfixturevalue(name)
    mount = setting.mount(modelfs)
    assert "iris" in os.listdir(mount.path)
    assert sorted(os.listdir(mount / "iris")) == ["1", "2", "@champion", "latest"]
    assert os.readlink(mount / "iris/@champion") == "1" and os.readlink(mount / "iris/latest") == "2"
    expected = setting.server.predictions
    assert load(setting, mount / "iris/1", mount / "iris/latest") == [expected["1"], expected["2"]]
    assert load(setting, mount / "iris/@champion", flavour=mlflow.LOAD_SKLEARN) == [expected["1"]]
    # Byte by byte what lies in the storage.
    stored = {file.read_bytes() for file in setting.storage.rglob("*") if file.is_file()}
    for file in (mount / "iris/1").iterdir():
        assert file.read_bytes() in stored, file
    mount.unmount()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.timeout(600)
def test_an_onnx_model_with_real_weights_embeds_as_mlflows_own_download(name, request, modelfs):
    setting, weights, sentence = request.getfixturevalue(name), minilm.weights_folder(), "A man is eating food."
    tokens = minilm.tokens_of(weights, sentence)
    variables = mlflow.s3_variables(setting.s3) if setting.direct else {}
    expected = setting.server.register_onnx("minilm", weights, tokens, **variables)
    assert numpy.allclose(expected, minilm.embed(weights, sentence), atol=1e-4), "it is the model that it claims to be"
    mount = setting.mount(modelfs)
    path = mount / "minilm/1"
    assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) > 80 * MIB
    assert load(setting, json.dumps(tokens), path, flavour=mlflow.LOAD_ONNX) == [expected, expected]
    mount.unmount()


@pytest.mark.timeout(600)
def test_stages_of_an_old_server_are_links_that_follow_transitions(version_2, modelfs):
    server = version_2.server

    def move(version, stage):
        server.call("POST", "model-versions/transition-stage", name="iris", version=str(version), stage=stage,
                    archive_existing_versions=stage == "Production")

    move(1, "Production")
    mount = version_2.mount(modelfs, "--alias-poll", "200ms")
    model = mount / "iris"
    assert sorted(os.listdir(model)) == ["1", "2", "@Production", "@champion", "latest"]
    assert os.readlink(model / "@Production") == "1"
    assert load(version_2, model / "@Production") == [server.predictions["1"]]
    move(2, "Production")
    wait_for(lambda: os.readlink(model / "@Production") == "2" and os.readlink(model / "@Archived") == "1", "the stages have moved")
    assert load(version_2, model / "@Production") == [server.predictions["2"]]
    for version in (1, 2):
        move(version, "None")
    wait_for(lambda: not os.path.lexists(model / "@Production"), "nothing is in production")


@pytest.mark.timeout(600)
def test_reads_s3_through_the_server_without_credentials(direct, modelfs):
    """Runs by URLs that the server signs, logged models as a stream."""
    direct_without = Setting("direct", direct.server, direct.storage)
    version = direct.server.add_files("files", {"a.bin": "x" * 3000, "deep/er/b.bin": "y"}, **mlflow.s3_variables(direct.s3))
    mount = direct_without.mount(modelfs)
    assert (mount / f"files/{version}/a.bin").read_bytes() == b"x" * 3000
    assert (mount / f"files/{version}/deep/er/b.bin").read_bytes() == b"y"
    assert load(direct, mount / "iris/2") == [direct.server.predictions["2"]]


@pytest.mark.timeout(600)
def test_loading_a_flavour_leaves_a_big_file_beside_it_alone(proxied, modelfs):
    """Must show 2."""
    proxied.server.register("bulky", 1, big_bytes=int(os.environ.get("MODELFS_BULKY_SIZE", 64 * MIB)))
    mount = proxied.mount(modelfs)
    assert (mount / "bulky/1/big.bin").stat().st_size >= 64 * MIB
    opened = load(proxied, mount / "bulky/1", flavour=mlflow.LOAD_OPENED)
    size = sum(os.path.getsize(path) for path in opened)
    fetched = mount.wait_idle()["cache"]["fetched_bytes"]
    print(f"{len(opened)} files opened, {size} bytes; {fetched} bytes fetched")
    assert {"MLmodel", "model.pkl"} <= {os.path.basename(path) for path in opened}
    assert size <= fetched <= 1.2 * size


@pytest.mark.timeout(600)
def test_everything_that_was_read_works_with_all_servers_down(scratch, folder, modelfs):
    """Must show 5. With a server of its own, which it stops."""
    server = mlflow.Mlflow(folder / "server", "--artifacts-destination", folder / "artifacts")
    server.register("iris", 1)
    version = server.add_files("files", {"seen": "s" * 5000, "unseen": "u" * (3 * MIB)})
    setting = Setting("down", server, folder / "artifacts")
    mount = setting.mount(modelfs, "--read-timeout", "10s")
    bytes_seen = {file.name: file.read_bytes() for file in (mount / "iris/1").iterdir()}
    assert (mount / f"files/{version}/seen").read_bytes() == b"s" * 5000
    server.stop()
    for again in range(2):
        assert {file.name: file.read_bytes() for file in (mount / "iris/1").iterdir()} == bytes_seen
        assert (mount / f"files/{version}/seen").read_bytes() == b"s" * 5000
        assert sorted(os.listdir(mount.path)) == ["files", "iris"]
        with pytest.raises(OSError):
            (mount / f"files/{version}/unseen").read_bytes()
        if again == 0:  # And in another life, which never saw the server.
            mount.unmount()
            modelfs.kill_all()
            failed = modelfs.run("mount", "--source", "mlflow:" + server.url, "--cache", mount.cache, mount.path)
            assert failed.returncode == 1 and "127.0.0.1" in failed.stderr  # a new mount wants an answer
            server.restart()
            mount = setting.mount(modelfs, "--read-timeout", "10s", at=mount.path)
            server.stop()
    mount.unmount()


@pytest.mark.timeout(600)
def test_a_wrong_password_is_told_by_name(guarded, modelfs):
    result = modelfs.run("mount", "--source", "mlflow:" + guarded.server.url, "--cache", modelfs.folder / "cache", modelfs.new_mount_point(),
                          MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD=WRONG)
    assert result.returncode == 1
    assert "401" in result.stderr and "MLFLOW_TRACKING_PASSWORD" in result.stderr and WRONG not in result.stderr
    credentials = modelfs.folder / ".mlflow/credentials"
    credentials.parent.mkdir()
    credentials.write_text(f"[mlflow]\nmlflow_tracking_username = admin\nmlflow_tracking_password = {PASSWORD}\n")
    mount = mlflow.mount(modelfs, guarded.server)
    assert "iris" in os.listdir(mount.path)


@pytest.mark.timeout(300)
def test_what_is_not_there_is_not_found_and_a_server_that_is_none_is_told(local, start_origin, modelfs):
    mount = local.mount(modelfs)
    for path in ["nope", "iris/99", "iris/@nope", "iris/1/nope"]:
        assert not (mount / path).exists()
        with pytest.raises(FileNotFoundError):
            os.stat(mount / path)
    with Pages() as pages:
        result = modelfs.run("mount", "--source", "mlflow:" + pages.url, "--cache", modelfs.folder / "cache", modelfs.new_mount_point())
    assert result.returncode == 1 and "an MLflow server?" in result.stderr


@pytest.mark.timeout(300)
def test_a_thousand_models_cost_a_handful_of_requests(scratch, folder, modelfs):
    server = mlflow.Mlflow(folder / "many", "--artifacts-destination", folder / "artifacts")
    server.run("""
        import json, mlflow
        client = mlflow.MlflowClient()
        for number in range(1000):
            client.create_registered_model(f"model-{number:04}")
        print(json.dumps(True))
    """)
    searches = lambda: len(re.findall("registered-models/search", server.output()))
    before = searches()
    mount = mlflow.mount(modelfs, server)
    assert len(os.listdir(mount.path)) == 1000
    assert 1 <= searches() - before <= 5
    mount.unmount()
    server.stop()
