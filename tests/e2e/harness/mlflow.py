"""MLflow servers, and Python programs that run with MLflow's own client."""

import json
import os
import pathlib
import textwrap
import urllib.error
import urllib.parse
import urllib.request

from harness import programs
from harness.servers import ACCESS_KEY, REGION, SECRET_KEY, Server, free_port
from harness.waiting import wait_for

VENV = programs.TOOLS / "mlflow"  # the newest
VENV_2 = programs.TOOLS / "mlflow2"  # the last 2.x

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "GIT_PYTHON_REFRESH": "quiet",
         "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
# For a server or a client that speaks to S3 itself.


def s3_variables(s3):
    return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": REGION,
            "MLFLOW_S3_ENDPOINT_URL": s3.url}


class Mlflow(Server):
    """`mlflow server` on SQLite, with one worker. Its clients are of the same environment."""

    def __init__(self, folder, *arguments, login=None, venv=VENV, **variables):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.login, self.venv, self.arguments, self.variables = login, venv, arguments, variables
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._start()

    def _start(self):
        environment = programs.clean_environment(
            self.folder, PYTHONUNBUFFERED="1", MLFLOW_WEBHOOK_ALLOWED_SCHEMES="http,https", MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
            MLFLOW_WEBHOOK_CACHE_TTL="1", **QUIET, **self.variables)
        environment["PATH"] = f"{self.venv / 'bin'}:{environment['PATH']}"
        Server.__init__(self, [self.venv / "bin" / "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--host",
                               "127.0.0.1", "--port", self.port, "--workers", "1", *self.arguments], environment, self.folder / "mlflow.log")
        wait_for(lambda: self._healthy() or not self.alive(), "MLflow answers", 180)
        assert self.alive(), self.output()

    def _healthy(self):
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=2).status == 200
        except OSError:
            return False

    def restart(self):
        self._start()

    def stop(self):
        # It is a parent of uvicorn's process, which it ends itself when asked to.
        super().stop()

    def environment(self, **more):
        """What a client of this server needs."""
        variables = {"MLFLOW_TRACKING_URI": self.url} | QUIET | more
        if self.login:
            variables |= {"MLFLOW_TRACKING_USERNAME": self.login[0], "MLFLOW_TRACKING_PASSWORD": self.login[1]}
        return variables

    def call(self, method, path, **fields):
        """Calls the REST API; returns the JSON of the answer."""
        url = f"{self.url}/api/2.0/mlflow/{path}"
        body = None
        if method == "GET":
            url += "?" + urllib.parse.urlencode(fields)
        else:
            body = json.dumps(fields).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        if self.login:
            import base64
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(self.login).encode()).decode())
        try:
            return json.load(urllib.request.urlopen(request, timeout=60))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:300]}") from error

    def set_alias(self, name, alias, version):
        self.call("POST", "registered-models/alias", name=name, alias=alias, version=str(version))

    def run(self, code, *arguments, limit=240, **variables):
        """Runs a Python program with MLflow's client against this server; returns the JSON that its last line is."""
        return run_python(self.folder, code, *arguments, limit=limit, venv=self.venv, **self.environment(**variables))

    def register(self, name, versions, big_bytes=0, **variables):
        """Trains and registers scikit-learn models; returns what each predicts for the same rows, by version."""
        return self.run(REGISTER, name, versions, big_bytes, **variables)

    def register_onnx(self, name, weights, tokens, **variables):
        """Registers a sentence transformer as an ONNX model; returns its embedding of `tokens`."""
        return self.run((pathlib.Path(__file__).parent / "minilm_onnx.py").read_text(), weights, name, json.dumps(tokens), **variables)

    def add_files(self, name, files, **variables):
        """Registers a version with `files` ({path: text of bytes' latin-1}) by MLflow's client; returns its number."""
        listed = self.folder / "files.json"  # too much for a command line
        listed.write_text(json.dumps(files))
        return self.run(ADD_FILES, name, listed, **variables)


def mount(modelfs, server, *arguments):
    """Mounts the registry of `server`, without any AWS credentials."""
    return modelfs.mount("mlflow:" + server.url, arguments=arguments, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")


def run_python(home, code, *arguments, limit=240, venv=VENV, **variables):
    environment = programs.clean_environment(home, **variables)
    result = programs.check(programs.run([venv / "bin" / "python", "-c", textwrap.dedent(code), *arguments], environment, limit))
    return json.loads(result.stdout.strip().splitlines()[-1])


REGISTER = """
    import json, os, sys, tempfile
    import mlflow, mlflow.sklearn, numpy
    from sklearn.linear_model import LinearRegression
    name, versions, big = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rows = numpy.arange(40, dtype=float).reshape(10, 4)
    mlflow.set_experiment("tests")
    predictions = {}
    for number in range(1, versions + 1):
        model = LinearRegression().fit(rows, rows.sum(1) * number + number)
        with mlflow.start_run():
            place = {"name": "model"} if mlflow.__version__ >= "3" else {"artifact_path": "model"}
            info = mlflow.sklearn.log_model(model, **place, serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
            if big:
                with tempfile.TemporaryDirectory() as folder:
                    with open(os.path.join(folder, "big.bin"), "wb") as file:
                        for _ in range(big >> 20):
                            file.write(os.urandom(1 << 20))
                    mlflow.MlflowClient().log_model_artifacts(info.model_id, folder)
            version = mlflow.register_model(info.model_uri, name)
        predictions[version.version] = model.predict(rows[:3]).tolist()
    print(json.dumps(predictions))
"""

ADD_FILES = """
    import json, os, sys, tempfile
    import mlflow
    name, files = sys.argv[1], json.load(open(sys.argv[2]))
    mlflow.set_experiment("tests")
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            full = os.path.join(folder, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(text.encode("latin-1"))
        mlflow.log_artifacts(folder, "files")
    try:
        client.create_registered_model(name)
    except mlflow.MlflowException:
        pass
    uri = f"{run.info.artifact_uri}/files"
    print(json.dumps(int(client.create_model_version(name, uri, run.info.run_id).version)))
"""

# Loads models from paths or URIs and says what they predict.
LOAD = """
    import json, sys
    import mlflow, numpy
    rows = numpy.arange(40, dtype=float).reshape(10, 4)
    print(json.dumps([numpy.asarray(mlflow.pyfunc.load_model(where).predict(rows[:3])).tolist() for where in sys.argv[1:]]))
"""

# Loads the model at a path and says which of its files were opened for it.
LOAD_OPENED = """
    import json, os, sys
    opened = set()

    def watch(event, arguments):
        if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(sys.argv[1]):
            opened.add(arguments[0])

    sys.addaudithook(watch)
    import mlflow
    mlflow.pyfunc.load_model(sys.argv[1])
    print(json.dumps([path for path in sorted(opened) if os.path.isfile(path)]))
"""

# What models of harness/minilm_onnx.py say to tokens, the first argument, by both ways that MLflow has.
LOAD_ONNX = """
    import json, sys
    import mlflow, mlflow.onnx, numpy, onnxruntime
    tokens = {"tokens": numpy.array(json.loads(sys.argv[1]))}
    embeddings = []
    for where in sys.argv[2:]:
        embeddings.append(mlflow.pyfunc.load_model(where).predict(tokens)["embedding"].tolist())
        session = onnxruntime.InferenceSession(mlflow.onnx.load_model(where).SerializeToString())
        embeddings.append(session.run(None, tokens)[0].tolist())
    print(json.dumps(embeddings))
"""

LOAD_SKLEARN = LOAD.replace("mlflow, numpy", "mlflow, mlflow.sklearn, numpy").replace("mlflow.pyfunc.load_model", "mlflow.sklearn.load_model")
