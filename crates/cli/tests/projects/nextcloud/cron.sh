#!/bin/sh
while true; do date > /www/last-cron; sleep 3600; done
