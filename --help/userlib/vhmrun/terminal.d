/tmp/h-pv/main/--help/userlib/vhmrun/terminal.o: \
 /tmp/h-pv/main/userlib/vhmrun/terminal.c \
 /tmp/h-pv/main/userlib/vhmrun/terminal.h
/tmp/h-pv/main/userlib/vhmrun/terminal.h:
