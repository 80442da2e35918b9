#!/bin/sh
# Runs in the image that is being made, as root.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt-get update -qq
apt-get install -qq -y --no-install-recommends rpm dnf python3-pip
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log

rpmbuild --quiet -bb --define '_topdir /tmp/rpm' --define '_rpmdir /srv' /recipe/owned.spec
mv /srv/noarch/owned-1-1.noarch.rpm /srv/owned.rpm
rm -r /srv/noarch /tmp/rpm

cp -r /recipe/greeting /tmp/greeting
(cd /tmp/greeting && python3 setup.py --quiet sdist --dist-dir /srv)
rm -r /tmp/greeting
