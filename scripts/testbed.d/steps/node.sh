#!/bin/bash
# Runs inside the node: configuration, users, keys, certificates, state directories.
set -euo pipefail

configuration() {
    cp -a --no-preserve=ownership /run/recipe/node/. /
    chmod 440 /etc/sudoers.d/testbed
    : >/etc/resolv.conf
    echo testbed >/etc/hostname
    {
        echo '127.0.0.1 testbed localhost node1 node2'
        cat /etc/testbed/registry.hosts
        echo '::1 ip6-localhost ip6-loopback'
    } >/etc/hosts
    mkdir -p /etc/gateway
}

users() {
    local user uid=1000
    for user in alice bob; do
        useradd --create-home --uid "$uid" --shell /bin/bash "$user"
        uid=$((uid + 1))
        install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
        runuser -u "$user" -- ssh-keygen -q -t ed25519 -N '' -f "/home/$user/.ssh/id_ed25519"
        cp "/home/$user/.ssh/id_ed25519.pub" "/home/$user/.ssh/authorized_keys"
        sed 's/^/localhost,127.0.0.1,testbed /; s/ [^ ]*$//' /etc/ssh/ssh_host_*_key.pub \
            >"/home/$user/.ssh/known_hosts"
        chown -R "$user:" "/home/$user/.ssh"
    done
    echo 'PATH=/usr/local/bin:/opt/gateway/bin:/usr/bin:/bin:/usr/sbin' >>/etc/environment
}

certificates() {
    # The authority's key lives only as long as this build: one signature, then it is gone.
    local work names
    work=$(mktemp -d)
    names=$(sed 's/^[^ ]* //; s/ /,DNS:/g; s/^/DNS:/' /etc/testbed/registry.hosts)
    # The extensions are those that Python's strict checks ask for.
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Test bed authority' \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -keyout "$work/ca.key" -out /usr/local/share/ca-certificates/testbed.crt 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -subj '/CN=registry' \
        -keyout /etc/testbed/registry.key -out "$work/registry.csr" 2>/dev/null
    printf '%s\n' "subjectAltName=$names,IP:127.0.0.2" 'extendedKeyUsage=serverAuth' \
        'basicConstraints=CA:FALSE' 'keyUsage=critical,digitalSignature,keyEncipherment' \
        'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' >"$work/extensions"
    openssl x509 -req -days 3650 -in "$work/registry.csr" -CAcreateserial \
        -CAserial "$work/serial" \
        -CA /usr/local/share/ca-certificates/testbed.crt -CAkey "$work/ca.key" \
        -extfile "$work/extensions" -out /etc/testbed/registry.crt 2>/dev/null
    chmod 600 /etc/testbed/registry.key
    rm -rf "$work"
    update-ca-certificates >/dev/null
}

slurm() {
    install -d -o slurm -g slurm /var/lib/slurm /var/lib/slurm/slurmctld /var/log/slurm
    install -d -o slurm -g slurm /var/spool/slurmd.node1 /var/spool/slurmd.node2
    chown root: /etc/slurm/*.conf
    chown slurm: /etc/slurm/slurmdbd.conf
    chmod 600 /etc/slurm/slurmdbd.conf
}

database() {
    install -d -o mysql -g mysql /run/mysqld /run/mariadbd
    [ -d /var/lib/mysql/mysql ] || [ -d /var/lib/mariadb/mysql ] ||
        mariadb-install-db --user=mysql --skip-test-db >/dev/null
    local sql=(
        'CREATE DATABASE IF NOT EXISTS slurm_acct_db;'
        'CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED VIA unix_socket;'
        'GRANT ALL ON slurm_acct_db.* TO slurm@localhost;'
    )
    printf '%s\n' 'USE mysql;' 'FLUSH PRIVILEGES;' "${sql[@]}" |
        mariadbd --user=mysql --bootstrap >/dev/null 2>&1
}

htcondor() {
    install -d -o condor -g condor /var/lib/condor/execute /var/spool/condor /var/log/condor
    install -d -m 700 /etc/condor/passwords.d /etc/condor/tokens.d
    mkdir -p /run/lock/condor
    condor_store_cred -p "$(openssl rand -hex 16)" -f /etc/condor/passwords.d/POOL >/dev/null
}

configuration
users
certificates
slurm
database
htcondor
