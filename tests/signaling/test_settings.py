"""Settings: sources in order, and every bad value refused by name."""

from __future__ import annotations

import pytest

from signaling.settings import Settings, SettingsError, load, table


def test_defaults_without_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(environment={}) == Settings()
    assert Settings().host == "127.0.0.1"


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "consilium.toml"
    file.write_text('port = 1\nhost = "::1"\n[media]\nport = 2\nplane = "python"\n')
    found = load(file, {"CONSILIUM_PORT": "3", "CONSILIUM_MEDIA_PUBLIC_ADDRESSES": "192.0.2.1, 192.0.2.2", "PATH": "x"})
    assert (found.port, found.host, found.media.port, found.media.plane) == (3, "::1", 2, "python")
    assert found.media.public_addresses == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("port = 70000", ["port", "70000", "0 to 65535"]),
        ('port = "many"', ["port", "many", "whole number"]),
        ("prot = 1", ["prot", "did you mean port"]),
        ('[media]\nplane = "turbo"', ["media.plane", "turbo", "auto, native, python"]),
        ("[media]\nprot = 1", ["media.prot", "did you mean media.port"]),
        ("[medium]\nport = 1", ["medium"]),
        ("media = 3", ["media", "[media]"]),
        ("[captions]\nenabled = 1", ["captions.enabled", "true or false"]),
        ('public_url = "meet.example.org"', ["public_url", "meet.example.org"]),
        ('trusted_proxies = ["everybody"]', ["trusted_proxies", "everybody", "IP address"]),
        ('secret = "short"', ["secret", "32"]),
        ('[tls]\nmode = "files"', ["tls.cert", "must be a file"]),
        ('[turn]\nurls = ["turn:x"]', ["turn.secret"]),
        ('[turn]\nurls = ["http:x"]\nsecret = "s"', ["turn.urls", "http:x"]),
        ("port = ", ["TOML"]),
        ("data_dir = ''", ["data_dir", "not empty"]),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_is_allowed(tmp_path, toml, words):
    file = tmp_path / "consilium.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError) as refused:
        load(file, {})
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CONSILIUM_PORT", "x", ["CONSILIUM_PORT", "'x'", "whole number"]),
        ("CONSILIUM_PROT", "1", ["CONSILIUM_PROT", "did you mean CONSILIUM_PORT"]),
        ("CONSILIUM_CAPTIONS_ENABLED", "maybe", ["CONSILIUM_CAPTIONS_ENABLED", "true or false"]),
        ("CONSILIUM_LIMITS_MESSAGE_RATE", "nan", ["CONSILIUM_LIMITS_MESSAGE_RATE"]),
    ],
)
def test_a_bad_variable_is_refused(tmp_path, monkeypatch, name, value, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as refused:
        load(environment={name: value})
    for word in words:
        assert word in str(refused.value)


def test_secrets_are_not_shown(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("secret = 123456789")
    with pytest.raises(SettingsError) as refused:
        load(file, {})
    assert "123456789" not in str(refused.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(SettingsError, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml", {})


def test_every_setting_is_described():
    assert all(row.description and row.env.startswith("CONSILIUM_") for row in table())
    assert len({row.env for row in table()}) == len(table())
