#!/bin/bash
# What a step of a PanDA workflow does around REANA today: the client's text output is cut into
# words. usage: panda_step.sh NAME DATASET TEMPLATE-DIRECTORY [SECONDS-BETWEEN-LOOKS]
job_name=$1
dataset=$2
template=$3
pause=${4:-60}

cp -r "$template" analysis
cd analysis || exit 1
sed -i "s|DATASET|$dataset|g" reana.yaml

reana-client create -w "$job_name"
export REANA_WORKON=$job_name
reana-client secrets-add --overwrite --file ../userkey.pem --file ../usercert.pem \
    --env VOMSPROXY_PASS=secret --env VONAME=atlas
reana-client upload
reana-client start

run=$(reana-client status --format NAME,RUN_NUMBER,STATUS | tr -s ' ' | cut -d ' ' -f 2 | sed -n 2p)
task_name=$job_name.$run
cd ..

status=
while [[ $status != finished ]]; do
    sleep "$pause"
    status=$(reana-client status --format NAME,RUN_NUMBER,STATUS | tr -s ' ' | cut -d ' ' -f 3 | sed -n 2p)
    echo "status of $task_name: $status"
    [[ $status != failed ]] || break
done

reana-client download -w "$task_name"
tar -czf output.tar results
rm -r analysis
