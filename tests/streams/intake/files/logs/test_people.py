import pytest

from streams.intake.files.logs.people import people_of


@pytest.mark.parametrize(
    ("program", "message", "user", "ip"),
    [
        ("sshd", "Failed password for root from 192.0.2.9 port 4023 ssh2", "root", "192.0.2.9"),
        ("sshd", "Failed password for invalid user a from b from 192.0.2.9 port 1 ssh2", "a from b", "192.0.2.9"),
        ("sshd", "Accepted publickey for kim from 2001:db8::1 port 4023 ssh2: RSA x", "kim", "2001:db8::1"),
        ("sshd-session", "Invalid user admin from 192.0.2.9 port 51", "admin", "192.0.2.9"),
        ("sshd", "input_userauth_request: invalid user webmaster [preauth]", "webmaster", ""),
        ("sshd", "Received disconnect from 192.0.2.9: 11: Bye Bye [preauth]", "", "192.0.2.9"),
        ("sshd", "Connection closed by 192.0.2.9 [preauth]", "", "192.0.2.9"),
        ("sshd", "Disconnected from user kim 192.0.2.9 port 5", "kim", "192.0.2.9"),
        ("sshd", "message repeated 5 times: [ Failed password for a from 192.0.2.9 port 4 ssh2]", "a", "192.0.2.9"),
        ("sshd(pam_unix)", "authentication failure; ruser= rhost=192.0.2.9  user=root", "root", "192.0.2.9"),
        ("sshd(pam_unix)", "authentication failure; ruser= rhost=evil.example ", "", ""),
        ("sudo", "     kim : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", "kim", ""),
        ("su", "'su root' failed for kim on /dev/pts/8", "kim", ""),
        ("su(pam_unix)", "session opened for user cyrus by (uid=0)", "cyrus", ""),
        ("su", "(to root) kim on pts/0", "kim", ""),
        ("CRON", "(root) CMD (run-parts /etc/cron.hourly)", "root", ""),
        ("ftpd", "connection from 192.0.2.9 (h.example) at Fri", "", "192.0.2.9"),
        ("systemd-logind", "New session 4 of user kim.", "kim", ""),
        ("kernel", "DROP IN=eth0 SRC=192.0.2.9 DST=192.0.2.1", "", "192.0.2.9"),
        ("fan", "user=kim from 192.0.2.9", "", ""),
    ],
)  # fmt: skip
def test_user_and_address_are_found(program: str, message: str, user: str, ip: str) -> None:
    assert people_of(program, message) == (user, ip)
