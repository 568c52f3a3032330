"""The same study in object storage: the same content, made once, and nothing half-written if a connection is lost."""

import socket
import threading

import boto3
import pytest
from harness import SMALLEST, Study, hashes
from moto.server import ThreadedMotoServer

WORDS = "results/mess3/seed_1/sequences.zarr.zip"
LONG = {"defaults": {"training": {"steps": 2000}}}
KEYS = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "a", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "b"}


class Line:
    """A connection to a server that can be cut: what is sent then ends in the middle, and so does all that follows."""

    def __init__(self, port: int):
        self.server, self.left = port, None  # how many bytes more may be sent; None for any number
        self.entry = socket.create_server(("127.0.0.1", 0))
        self.port = self.entry.getsockname()[1]
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self):
        while True:
            caller, _ = self.entry.accept()
            server = socket.create_connection(("127.0.0.1", self.server))
            for source, sink, counted in [(caller, server, True), (server, caller, False)]:
                threading.Thread(target=self.pass_on, args=(source, sink, counted), daemon=True).start()

    def pass_on(self, source, sink, counted):
        try:
            while content := source.recv(4096):
                if counted and self.left is not None:
                    content, self.left = content[: self.left], max(0, self.left - len(content))
                sink.sendall(content)
                if self.left == 0:
                    break
        except OSError:
            pass
        for end in (source, sink):
            end.close()


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


class Stored(Study):
    """A study whose results are in a bucket."""

    def __init__(self, folder, server: int):
        super().__init__(folder)
        self.bucket, self.line = folder.name, Line(server)
        self.options = [
            "--default-storage-provider=s3",
            f"--default-storage-prefix=s3://{self.bucket}",
            f"--storage-s3-endpoint-url=http://127.0.0.1:{self.line.port}",
            "--storage-s3-retries=1",
        ]
        self.s3 = boto3.resource(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )

    def snakemake(self, *arguments, **settings):
        return super().snakemake(*arguments, *self.options, environment=KEYS, configs=[SMALLEST], **settings)

    def names(self) -> list[str]:
        return [item.key for item in self.s3.Bucket(self.bucket).objects.filter(Prefix="results/")]

    def fetch(self, folder) -> Study:
        """The same results in a folder."""
        for name in self.names():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            self.s3.Bucket(self.bucket).download_file(name, folder / name)
        return Study(folder)


def test_study_in_object_storage_is_the_study_at_home_and_is_made_once(server, smallest, tmp_path):
    study = Stored(tmp_path / "study", server)
    study.run()
    fetched = study.fetch(tmp_path / "fetched")
    assert hashes(fetched) == hashes(smallest)
    fetched.run("audit", configs=[SMALLEST])
    assert "Nothing to be done" in study.run()


def test_connection_lost_in_an_upload_leaves_nothing_that_counts_as_whole(server, tmp_path):
    here, study = Study(tmp_path / "here"), Stored(tmp_path / "cut-off", server)
    here.run(WORDS, configs=[SMALLEST], override=LONG)
    study.line.left = (here.folder / WORDS).stat().st_size // 2
    result = study.snakemake(WORDS, override=LONG)
    assert result.returncode != 0 and study.line.left == 0
    assert WORDS not in study.names()
    study.line.left = None
    study.run(WORDS, override=LONG)
    assert hashes(study.fetch(tmp_path / "fetched")) == hashes(here)
