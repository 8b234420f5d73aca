/tmp/lead/main/--help/userlib/vhmrun/terminal.o: \
 /tmp/lead/main/userlib/vhmrun/terminal.c \
 /tmp/lead/main/userlib/vhmrun/terminal.h
/tmp/lead/main/userlib/vhmrun/terminal.h:
