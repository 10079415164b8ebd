"""Programs that bring the whole object to disk before it can be loaded."""

from harness import mlflow, programs
from harness.servers import ACCESS_KEY, REGION, SECRET_KEY

from contestants.contestant import BUCKET, Contestant


class Download(Contestant):
    kind = "download"
    lazy = False

    def open_up(self, key):
        path = self.folder / "downloaded" / key.rpartition("/")[2]
        path.parent.mkdir(exist_ok=True)
        self.download(key, path)
        assert path.stat().st_size > 0
        return path

    def local(self):
        return [path for path in (self.folder / "downloaded").rglob("*") if path.is_file()]

    def variables(self):
        return self.environment(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_DEFAULT_REGION=REGION)


class MlflowDownload(Download):
    """What the start script runs."""

    name = "mlflow"
    title = "mlflow artifacts download"

    @classmethod
    def missing(cls):
        return None if (mlflow.VENV / "bin" / "mlflow").exists() else "mlflow is not installed (deploy/deps.sh bench)"

    def download(self, key, path):
        environment = self.variables() | mlflow.QUIET | {"MLFLOW_S3_ENDPOINT_URL": self.origin.url, "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db"}
        self.run([mlflow.VENV / "bin" / "mlflow", "artifacts", "download", "--artifact-uri", f"s3://{BUCKET}/{key}", "--dst-path", path.parent],
                 environment)


class Boto3Download(Download):
    name = "boto3"
    title = "boto3 download_file"
    CODE = """
import sys
import boto3
url, bucket, key, path = sys.argv[1:]
boto3.client("s3", endpoint_url=url).download_file(bucket, key, path)
"""

    @classmethod
    def missing(cls):
        return None if (programs.TOOLS / "venv" / "bin" / "python").exists() else "boto3 is not installed (deploy/deps.sh bench)"

    def download(self, key, path):
        self.run([programs.TOOLS / "venv" / "bin" / "python", "-c", self.CODE, self.origin.url, BUCKET, key, path], self.variables())


class Pip(Contestant):
    """Installs wheels; works/imports.py has the command."""

    name = "pip"
    title = "pip install"
    kind = "download"
    lazy = False

    @classmethod
    def missing(cls):
        return None if any((programs.TOOLS / "wheels").glob("*.whl")) else "no wheels (deploy/deps.sh bench)"


ALL = [MlflowDownload, Boto3Download, Pip]
