"""The Dockerfile: what the image serves by default, and that a mounted settings file takes effect."""

from program import image, serve_settings


def test_the_image_serves_on_its_declared_ports():
    settings = serve_settings(*image()["command"][1:], environment=image()["env"], cwd=image()["settings"])
    assert settings["embedded.data"] == image()["volume"]
    assert settings["models"] == image()["models"]
    assert settings["listen"].startswith("0.0.0.0:") and settings["metrics.listen"].startswith("0.0.0.0:")


def test_a_mounted_settings_file_overrides_the_image(tmp_path):
    mounted = "listen: 0.0.0.0:6000\nmetrics: { listen: 0.0.0.0:6001 }\nmodels: /srv/models\nembedded: { data: /srv/data }\n"
    (tmp_path / "tollgate.yaml").write_text(mounted)
    settings = serve_settings(*image()["command"][1:], environment=image()["env"], cwd=tmp_path)
    assert (settings["listen"], settings["metrics.listen"]) == ("0.0.0.0:6000", "0.0.0.0:6001")
    assert (settings["models"], settings["embedded.data"]) == ("/srv/models", "/srv/data")
