#!/bin/sh -e
# Runs in the image that is being made, as root.
rpmbuild --quiet -bb --define '_topdir /tmp/rpm' --define '_rpmdir /srv' /recipe/owned.spec
mv /srv/noarch/owned-1-1.noarch.rpm /srv/owned.rpm
rm -r /srv/noarch /tmp/rpm
