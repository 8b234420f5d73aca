/tmp/h-pv/main/--help/userlib/vhmrun/message.o: \
 /tmp/h-pv/main/userlib/vhmrun/message.c \
 /tmp/h-pv/main/userlib/vhmrun/message.h \
 /tmp/h-pv/main/userlib/vhmrun/terminal.h
/tmp/h-pv/main/userlib/vhmrun/message.h:
/tmp/h-pv/main/userlib/vhmrun/terminal.h:
