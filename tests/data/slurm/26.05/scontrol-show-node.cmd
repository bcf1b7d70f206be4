scontrol -o show node
