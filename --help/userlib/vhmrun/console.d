/tmp/lead/main/--help/userlib/vhmrun/console.o: \
 /tmp/lead/main/userlib/vhmrun/console.c \
 /tmp/lead/main/userlib/vhmrun/console.h \
 /tmp/lead/main/userlib/vhmrun/../devices/uart.h \
 /tmp/lead/main/userlib/vhmrun/../devices/bus.h \
 /tmp/lead/main/userlib/vhmrun/../devices/irq.h \
 /tmp/lead/main/userlib/vhmrun/message.h
/tmp/lead/main/userlib/vhmrun/console.h:
/tmp/lead/main/userlib/vhmrun/../devices/uart.h:
/tmp/lead/main/userlib/vhmrun/../devices/bus.h:
/tmp/lead/main/userlib/vhmrun/../devices/irq.h:
/tmp/lead/main/userlib/vhmrun/message.h:
